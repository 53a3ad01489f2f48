"""Ctrl-C and SIGTERM: never lost, put off where they must wait, and an exit code of their own; in real processes."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.load

_WITH_MAIN = """
import os, signal, sys, time
import emotune.cli as cli
from emotune.runtime import interruption
{work}
cli.app = work
print("ready", flush=True)
cli.main()
"""


def ended(work: str, number: signal.Signals, *, seconds: float = 20.0) -> tuple[int, str, str]:
    """Run a command's work in a process, send it a signal when it says so; code, standard output and error."""
    program = _WITH_MAIN.format(work=textwrap.dedent(work))
    # a test that runs in the background of a shell would hand down a SIGINT that is ignored
    heard = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{program}"
    process = subprocess.Popen([sys.executable, "-c", heard], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "at work\n":
        assert line, process.communicate()[1]  # it ended before
    process.send_signal(number)
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


@pytest.mark.parametrize(("number", "code", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "SIGTERM")])
def test_a_signal_ends_the_work_with_its_code_and_its_word(number, code, word):
    found = ended(
        """
        def work():
            print("at work", flush=True)
            time.sleep(30)
        """,
        signal.Signals[number],
    )
    assert found[0] == code
    assert word in found[2] and "Traceback" not in found[2]


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_that_lands_in_a_finaliser_is_not_lost(number):
    """Where Python alone prints it and goes on, it is raised again."""
    code, out, _ = ended(
        """
        class Slow:
            def __del__(self):
                print("at work", flush=True)
                time.sleep(10)

        def work():
            slow = Slow()
            del slow
            print("gone on", flush=True)
            time.sleep(30)
            print("lost", flush=True)
        """,
        signal.Signals[number],
    )
    assert code == 128 + signal.Signals[number]
    assert "lost" not in out


def test_what_must_be_done_whole_is_done_before_the_interrupt_is_raised():
    code, out, _ = ended(
        """
        def work():
            with interruption.put_off():
                print("at work", flush=True)
                time.sleep(1)
                print("whole", flush=True)
            print("behind", flush=True)
        """,
        signal.SIGTERM,
    )
    assert code == 143
    assert "whole" in out and "behind" not in out


def test_threads_that_still_work_do_not_hold_up_the_end():
    began = time.monotonic()
    code, _, _ = ended(
        """
        import threading
        def work():
            threading.Thread(target=time.sleep, args=(30,)).start()
            print("at work", flush=True)
            time.sleep(30)
        """,
        signal.SIGINT,
    )
    assert code == 130
    assert time.monotonic() - began < 20


def test_a_signal_that_is_ignored_stays_ignored():
    """As shells start jobs in the background."""
    program = _WITH_MAIN.format(work='def work():\n    os.kill(os.getpid(), signal.SIGINT)\n    print("still here")')
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{program}"
    found = subprocess.run([sys.executable, "-c", ignoring], capture_output=True, text=True, check=False)
    assert found.returncode == 0 and "still here" in found.stdout
