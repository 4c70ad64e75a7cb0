"""What watchdog.py says of tests without a time limit or without a label."""
import watchdog


def listed(**properties):
    return [{"name": "t", "properties": [{"name": name, "value": value}
                                         for name, value in properties.items()]}]


def test_limit_and_label_are_enough():
    assert watchdog.breaches(listed(TIMEOUT=20.0, LABELS=["quick", "threads"])) == []


def test_no_limit_none_at_all_and_one_without_end_are_breaches():
    assert len(watchdog.breaches(listed(LABELS=["quick"]))) == 1
    assert len(watchdog.breaches(listed(LABELS=["quick"], TIMEOUT=0.0))) == 1
    assert len(watchdog.breaches(listed(LABELS=["quick"], TIMEOUT=1500.0))) == 1


def test_each_test_has_one_kind():
    assert len(watchdog.breaches(listed(TIMEOUT=20.0))) == 1
    assert len(watchdog.breaches(listed(TIMEOUT=20.0, LABELS=["threads"]))) == 1
    assert len(watchdog.breaches(listed(TIMEOUT=20.0, LABELS=["quick", "full"]))) == 1
