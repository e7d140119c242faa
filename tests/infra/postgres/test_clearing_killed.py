"""Clearing and kill -9: whenever it comes, days are as they were, or as they are to be."""

import signal
import subprocess
import sys

from sqlalchemy import Engine

from tests.infra.postgres.days import check_counts, old_day, queue_of, where


def test_a_process_that_is_killed_at_any_statement_leaves_all_as_it_was_or_as_it_is_to_be(engine: Engine) -> None:
    """
    The next one goes on, and in the end all has gone that had to, and all else is there.
    """
    queue = queue_of(engine)
    queue.register(lease=1e9)
    queue.keep_up()
    tasks = old_day(queue, 8, 2)
    queue.keep_up()
    stays = {task.id for task in tasks[8:]}
    url = engine.url.render_as_string(hide_password=False)
    rules = "completed=1d, failed=30d"
    killed = 0
    for number in range(1, 200, 3):
        command = [sys.executable, "-m", "tests.infra.postgres.clearing_killed", url, queue.clock.now().isoformat()]
        child = subprocess.run([*command, rules, str(number)], capture_output=True, text=True, timeout=60, check=False)
        check_counts(engine)
        assert stays <= {task.id for task in queue.newest(limit=100)}
        if child.returncode == 0:
            break
        assert -signal.SIGKILL == child.returncode, child.stderr
        killed += 1

    assert {"finished_kept": 2} == where(engine)
    assert killed > 3
