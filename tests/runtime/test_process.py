"""The end of a process: at once, with everything written and all that was registered done."""

import subprocess
import sys

import pytest

BEGIN = "import atexit, sys, threading, time\nfrom emotune.runtime.process import run_and_leave\n"
LATE = "class Late:\n    def __del__(self): print('taken apart', flush=True)\nkept = Late()\n"


def ended(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BEGIN + program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", [0, 3])
def test_text_is_written_handlers_run_and_nothing_is_taken_apart(code):
    work = f"def work():\n    print('work', end='')\n    sys.exit({code})\n"
    found = ended(LATE + work + "atexit.register(lambda: print(' registered'))\nrun_and_leave(work)")
    assert (found.returncode, found.stdout) == (code, "work registered\n")


def test_a_thread_that_still_works_is_waited_for():
    work = "def work():\n    threading.Thread(target=lambda: (time.sleep(.2), print('done'))).start()\n"
    assert ended(work + "run_and_leave(work)").stdout == "done\n"


def test_a_word_as_exit_code_and_an_error_end_as_python_ends_them():
    word = ended("run_and_leave(lambda: sys.exit('no'))")
    assert (word.returncode, word.stderr) == (1, "no\n")
    assert "ZeroDivisionError" in ended("run_and_leave(lambda: 1 / 0)").stderr
