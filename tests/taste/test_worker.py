"""One thread, many conversations: in turns, stopped where nobody listens, alive after what goes wrong."""

import threading
from queue import SimpleQueue

import pytest

from bakery.errors import DataError
from bakery.taste.worker import BUSY, GONE, Failed, Worker


@pytest.fixture
def worker():
    own = Worker()
    yield own
    own.close()


def counted(name, count, log, wait=None):
    try:
        for number in range(count):
            if wait is not None:
                wait.wait(10)
            log.append((name, number, threading.current_thread().name))
            yield number
    finally:
        log.append((name, "closed", ""))


def told(queue):
    return list(iter(lambda: queue.get(timeout=10), None))


def test_jobs_take_turns_in_one_thread(worker):
    log, ready, first, second = [], threading.Event(), SimpleQueue(), SimpleQueue()
    worker.submit(counted("a", 3, log, ready), first.put)
    worker.submit(counted("b", 3, log, ready), second.put)
    ready.set()
    assert told(first) == told(second) == [0, 1, 2]
    names = [name for name, number, _ in log if number != "closed"]
    assert sorted(names[1:5]) == ["a", "a", "b", "b"]  # neither waits for the other's end
    assert {thread for _, number, thread in log if number != "closed"} == {"model"}


def test_a_job_that_is_left_stops_and_the_others_go_on(worker):
    log, ready, first, second = [], threading.Event(), SimpleQueue(), SimpleQueue()
    job = worker.submit(counted("a", 10**9, log, ready), first.put)
    worker.submit(counted("b", 3, log, ready), second.put)
    ready.set()
    assert first.get(timeout=10) == 0
    job.stop()
    told(first)
    assert told(second) == [0, 1, 2]
    assert ("a", "closed", "") in log
    worker.close()
    assert worker.busy == 0


@pytest.mark.parametrize("error", [DataError("too long"), RuntimeError("out of\nmemory"), MemoryError()])
def test_what_goes_wrong_is_told_and_the_next_question_is_answered(error, worker):
    def failing():
        yield 1
        raise error

    queue = SimpleQueue()
    worker.submit(failing(), queue.put)
    one, failed = told(queue)
    assert one == 1
    assert isinstance(failed, Failed)
    assert "\n" not in failed.reason
    assert failed.reason
    worker.submit(counted("b", 1, []), queue.put)
    assert told(queue) == [0]


def test_whoever_still_waits_at_the_end_is_told():
    worker, queue, log, ready = Worker(), SimpleQueue(), [], threading.Event()
    worker.submit(counted("a", 10**9, log, ready), queue.put)
    ready.set()
    assert queue.get(timeout=10) == 0
    worker.close()
    assert told(queue)[-1] == GONE
    assert log[-1] == ("a", "closed", "")
    worker.submit(counted("b", 1, log), queue.put)
    assert told(queue) == [GONE]


def test_what_runs_alone_ends_the_others_and_later_ones_wait(worker):
    log, ready, first, second = [], threading.Event(), SimpleQueue(), SimpleQueue()
    worker.submit(counted("a", 10**9, log), first.put)
    assert first.get(timeout=10) == 0
    worker.submit_alone(lambda: (ready.wait(10), log.append("alone")))
    worker.submit(counted("b", 2, log), second.put)
    assert told(first)[-1] == BUSY
    ready.set()
    assert told(second) == [0, 1]
    assert log.index("alone") > log.index(("a", "closed", ""))
    assert log.index("alone") < next(at for at, line in enumerate(log) if line[0] == "b")
