"""A commit that is done and whose answer is lost: the worker finds out what became of it, and nothing happens twice."""

from app import TaskStatus
from tests.faults.bench import Bench
from tests.faults.proxy import Proxy

CLAIM = "SKIP LOCKED"
COMPLETE = "gone AS"
PUT_BACK = ".given_back"
REGISTER = "INSERT INTO worker.workers"


def test_a_claim_whose_answer_was_lost_is_found_and_run(bench: Bench, proxy: Proxy) -> None:
    """The worker is alive, so nobody would recover the task: it adopts it itself, and its handler runs once."""
    worker = bench.worker(url=proxy.url, listening=True)
    proxy.lose_the_answer_to_the_commit_of(CLAIM)

    task = bench.enqueue("quick")
    bench.eventually(proxy.lost.is_set, what="the answer to a claim is lost")
    bench.wait_for_note(task, "told completed")
    found = bench.find(task)

    assert (1, 1, [], worker.pid) == (found.attempts, found.lease_seq, found.errors, found.result)
    assert ["told started", "ran", "told completed"] == bench.ledger.notes(task.id)
    assert "the answer got lost: running it now" in worker.log


def test_a_settlement_whose_answer_was_lost_is_told_once(bench: Bench, proxy: Proxy) -> None:
    """The second try is refused by the fence and recognised: `completed` is told, no lease was lost, nothing reruns."""
    worker = bench.worker(url=proxy.url, listening=True)
    proxy.lose_the_answer_to_the_commit_of(COMPLETE)

    task = bench.enqueue("quick")
    bench.eventually(proxy.lost.is_set, what="the answer to a settlement is lost")
    bench.wait_for_note(task, "told completed")
    bench.wait_for_note(bench.enqueue("quick"), "told completed")

    found = bench.find(task)
    assert (TaskStatus.COMPLETED, 1, []) == (found.status, found.attempts, found.errors)
    assert ["told started", "ran", "told completed"] == bench.ledger.notes(task.id)
    assert "lease was lost" not in worker.log


def test_a_lost_answer_about_a_retry_costs_no_attempt(bench: Bench, proxy: Proxy) -> None:
    """A failure that was stored and not answered is not stored again, and the retry comes when it is due."""
    bench.worker(url=proxy.url, listening=True)
    proxy.lose_the_answer_to_the_commit_of(PUT_BACK)

    task = bench.enqueue("flaky", {"delay": 0.5})
    bench.eventually(proxy.lost.is_set, what="the answer to a settlement is lost")
    bench.wait_for_note(task, "told completed")
    found = bench.find(task)

    assert (2, 1) == (found.attempts, len(found.errors))
    told = [note.removeprefix("told ") for note in bench.ledger.notes(task.id) if note.startswith("told")]
    assert ["started", "failed", "retried", "started", "completed"] == told


def test_a_registration_whose_answer_was_lost_is_repeated(bench: Bench, proxy: Proxy) -> None:
    """The worker tries again under the same id, finds itself there, and begins."""
    proxy.lose_the_answer_to_the_commit_of(REGISTER)

    worker = bench.worker(url=proxy.url)

    assert proxy.lost.is_set()
    found = bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED)
    assert worker.pid == found.result
    assert [found.worker_id] == [one.node.id for one in bench.tasks.check_queue().execute().workers]
