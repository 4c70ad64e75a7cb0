"""LRU, MIN and turns once more, as plainly as they can be said: O(references times frames)."""
import itertools

PAGE = 4096
MASK = (1 << 64) - 1


def split_mix(seed):
    """SplitMix64 (Steele, Lea and Flood, 2014)."""
    for step in itertools.count(1):
        z = (seed + step * 0x9E3779B97F4A7C15) & MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        yield z ^ z >> 31


def turns(lengths, seed):
    """(program, first record, records) of each turn, for programs with so many records."""
    numbers = split_mix(seed)
    done = [0] * len(lengths)
    unfinished = list(range(len(lengths)))
    while unfinished:
        program = unfinished[next(numbers) % len(unfinished)]
        wanted = 1 + next(numbers) % 32767
        count = min(wanted, lengths[program] - done[program])
        yield program, done[program], count
        done[program] += count
        if count < wanted:
            unfinished.remove(program)


def references(traces, seed, is_data_only=False):
    """The pages of each reference, in order: a list of lists of (program, page)."""
    order = []
    for program, first, count in turns([len(trace) for trace in traces], seed):
        for kind, address, size in traces[program][first:first + count]:
            if kind != "I" or not is_data_only:
                order.append([(program, page)
                              for page in range(address // PAGE, (address + size - 1) // PAGE + 1)])
    return order


def lru(order, frames):
    """Misses, and references of which a page misses."""
    stack = []
    misses = missing_references = 0
    for pages in order:
        before = misses
        for page in pages:
            if page in stack:
                stack.remove(page)
            else:
                misses += 1
                del stack[frames - 1:]
            stack.insert(0, page)
        missing_references += misses > before
    return misses, missing_references


def belady(order, frames):
    """Misses when the page that is used last of all, or never again, leaves."""
    uses = [page for pages in order for page in pages]
    later = {}
    following = []
    for at in range(len(uses) - 1, -1, -1):
        following.append(later.get(uses[at], len(uses)))
        later[uses[at]] = at
    following.reverse()
    memory = {}
    misses = 0
    for at, page in enumerate(uses):
        if page not in memory:
            misses += 1
            if len(memory) == frames:
                del memory[max(memory, key=memory.get)]
        memory[page] = following[at]
    return misses


def fewest_misses(order, frames):
    """The least that any choice of pages to leave can reach: all choices are tried."""
    reached = {frozenset(): 0}
    for page in (page for pages in order for page in pages):
        then = {}
        for memory, misses in reached.items():
            if page in memory:
                choices = [(memory, misses)]
            elif len(memory) < frames:
                choices = [(memory | {page}, misses + 1)]
            else:
                choices = [(memory - {leaving} | {page}, misses + 1) for leaving in memory]
            for choice, cost in choices:
                then[choice] = min(cost, then.get(choice, cost))
        reached = then
    return min(reached.values())
