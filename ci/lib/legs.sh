# Legs: named, timed, bounded parts of a job; sourced by the scripts of ci/.
#
#   run_leg NAME SECONDS COMMAND...   runs COMMAND, kills it after SECONDS, notes the cost
#   finish_legs                       prints the costs; fails if a leg failed
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
    printf '\n== %s\n' "$name"
    timeout --kill-after=10 "$limit" "$@" </dev/null &
    LEG_PROCESS=$!
    wait "$LEG_PROCESS" || status=$?
    LEG_PROCESS=
    local verdict=ok
    if [ $status -eq 124 ]; then verdict="stopped after $limit s"
    elif [ $status -ne 0 ]; then verdict="failed ($status)"; fi
    if [ $status -ne 0 ]; then LEG_FAILURES=$((LEG_FAILURES + 1)); fi
    LEG_COSTS+=("$(printf '%-14s %5d s  of %5d  %s' \
        "$name" $((SECONDS - began)) "$limit" "$verdict")")
}

finish_legs() {
    printf '\n== costs\n'
    printf '%s\n' "${LEG_COSTS[@]}"
    printf '%-14s %5d s\n' all "$SECONDS"
    if [ "$LEG_FAILURES" -ne 0 ]; then
        echo "$LEG_FAILURES of ${#LEG_COSTS[@]} legs failed"
        return 1
    fi
    echo "all ${#LEG_COSTS[@]} legs passed"
}

quietly() {
    local log="build/log/$1.log" began=$SECONDS
    mkdir -p build/log
    if ! "${@:2}" >"$log" 2>&1; then
        tail -n 80 "$log"
        echo "failed: ${*:2}; all of it in $log" >&2
        return 1
    fi
    echo "$1: $((SECONDS - began)) s"
}

processors() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN; }

ctest_in() {
    local folder=$1
    shift
    ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$(processors)" "$@"
}
