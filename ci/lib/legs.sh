# Legs: named, timed, bounded parts of a job; sourced by the scripts of ci/.
#
#   run_leg NAME SECONDS COMMAND...   runs COMMAND, kills it after SECONDS, notes the cost
#   finish_legs                       prints the costs and what failed; fails if a leg failed
#   quietly NAME COMMAND...           output to build/log/NAME.log, shown only on failure
#   ctest_in FOLDER ARGUMENTS...      ctest with its closing line, on all processors

LEG_COSTS=()
LEG_FAILURES=0
LEG_PROCESS=

# A leg has a process group of its own, so whoever ends this job must end the leg by name; legs of
# legs do the same.
end_leg() {
    if [ -n "$LEG_PROCESS" ]; then kill -TERM "$LEG_PROCESS" 2>/dev/null || true; fi
    exit 143
}
trap end_leg TERM INT HUP

run_leg() {
    local name=$1 limit=$2 began=$SECONDS status=0
    shift 2
    # what fails in it, and in legs of it: the outermost job names the file
    if [ -z "${LEG_NAMES:-}" ]; then
        export LEG_NAMES=$PWD/build/failures.txt
        mkdir -p build
        : >"$LEG_NAMES"
    fi
    printf '\n== %s\n' "$name"
    timeout --kill-after=10 "$limit" "$@" </dev/null &
    LEG_PROCESS=$!
    wait "$LEG_PROCESS" || status=$?
    LEG_PROCESS=
    local verdict=ok
    if [ $status -eq 124 ]; then verdict="stopped after $limit s"
    elif [ $status -ne 0 ]; then verdict="failed ($status)"; fi
    if [ $status -ne 0 ]; then
        LEG_FAILURES=$((LEG_FAILURES + 1))
        note_failure "$name: $verdict"
    fi
    LEG_COSTS+=("$(printf '%-14s %5d s  of %5d  %s' \
        "$name" $((SECONDS - began)) "$limit" "$verdict")")
}

finish_legs() {
    printf '\n== costs\n'
    printf '%s\n' "${LEG_COSTS[@]}"
    printf '%-14s %5d s\n' all "$SECONDS"
    if [ "$LEG_FAILURES" -ne 0 ]; then
        echo "$LEG_FAILURES of ${#LEG_COSTS[@]} legs failed:"
        cat "$LEG_NAMES"
        return 1
    fi
    echo "all ${#LEG_COSTS[@]} legs passed"
}

note_failure() {
    if [ -n "${LEG_NAMES:-}" ]; then echo "$1" >>"$LEG_NAMES"; fi
}

quietly() {
    local log="build/log/$1.log" began=$SECONDS
    mkdir -p build/log
    if ! "${@:2}" >"$log" 2>&1; then
        tail -n 80 "$log"
        echo "failed: ${*:2}; all of it in $log" >&2
        note_failure "${*:2}"
        return 1
    fi
    echo "$1: $((SECONDS - began)) s"
}

processors() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN; }

ctest_in() {
    local folder=$1 status=0
    shift
    ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$(processors)" "$@" ||
        status=$?
    if [ $status -ne 0 ]; then
        note_failure "$folder: $(cat "$folder/Testing/Temporary/LastTestsFailed.log" 2>&1 | xargs)"
    fi
    return $status
}
