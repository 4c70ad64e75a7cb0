-- What the database shell's trace runs: a table, an index, an aggregate, a join, an update, a delete.
create table part(id integer primary key, name text, price integer);
with recursive c(n) as (select 1 union all select n + 1 from c where n < 300)
  insert into part select n, 'name' || (n * 7919 % 1201), n * n % 1009 from c;
create index part_name on part(name);
select price, count(*), max(name) from part group by price order by 2 desc, 1 limit 5;
select count(*) from part a join part b on a.name = 'name' || b.price;
update part set price = price + 1 where id % 3 = 0;
delete from part where name like '%7%';
select count(*), sum(price) from part;
