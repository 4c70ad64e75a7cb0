"""Traces: from files, and from runs of the simulation and of unit tests, which write them."""
import argparse
import os
import pathlib
import subprocess
import tempfile

ERRORS_SHOWN = 10


def arguments_of(description, seeds, steps):
    """The command line of a checker of traces, with so many seeds and steps unless it says so."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--sim", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--program", type=pathlib.Path, action="append", default=[])
    return parser.parse_args()


def simulate(arguments, options, path):
    """The simulation, whose trace goes to a file; whether it passed."""
    command = [arguments.sim, *options, "--seed", str(arguments.seed), "--seeds",
               str(arguments.seeds), "--steps", str(arguments.steps), "--minimise", "0",
               "--frames", path]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0:
        return True
    print("the simulation fails")
    return False


def run_program(program, path):
    """A unit test, whose trace goes to a file; whether it passed."""
    done = subprocess.run([program], check=False, capture_output=True, text=True,
                          env={**os.environ, "NTMM_FRAMES": path})
    if done.returncode != 0:
        print(f"{program} fails\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def read_all(arguments, checker, options=()):
    """Let a checker read each trace; whether all runs passed and could be read.

    options: what the simulation is called with besides.
    """
    is_right = True
    with tempfile.TemporaryDirectory() as folder:
        paths = list(arguments.files)
        if arguments.sim:
            paths.append(os.path.join(folder, "trace"))
            is_right &= simulate(arguments, options, paths[-1])
        for number, program in enumerate(arguments.program):
            paths.append(os.path.join(folder, f"trace{number}"))
            is_right &= run_program(program, paths[-1])
        for path in paths:
            is_right &= checker.read(path)
    return is_right


def judge(checker, listed, unreached, is_part, missed):
    """Print what is wrong with a run of a checker; whether nothing is.

    listed: names of steps that must be reached, but in a part of a run; unreached: those that need
    not be, with the reason; missed: mistakes in the list, planted, that nothing noticed.
    """
    missing = [name for name in listed if not checker.reached[name] and not is_part]
    for name in missing:
        print(f"not reached: {name}: {unreached.get(name, 'NO REASON')}")
    wrong = [name for name in missing if name not in unreached]
    for name in unreached:
        if name not in listed:
            print(f"{name} is no step of the list")
            wrong.append(name)
    for what in missed:
        print(f"spoiled, and nobody notices: {what}")
        wrong.append(what)
    for error in checker.errors[:ERRORS_SHOWN]:
        print(error)
    print(f"{len(checker.errors)} steps are wrong")
    return not wrong and not checker.errors and checker.checked != 0
