#!/usr/bin/env bash
# Slurm and Open MPI on this machine alone: what README says of several hosts, tried on the loopback.
#
#     experiments/torture/one_node_cluster.sh [PYTHON]
#
# Needs root, and Debian's slurm-wlm, munge and openmpi-bin. Its own munged, slurmctld and slurmd
# listen on ports of their own, keep everything in a temporary folder, and end with it.
set -u
python=${1:-python}
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
host=$(hostname -s)
failures=0
trap 'for file in "$folder"/*.pid; do kill "$(cat "$file")"; done 2>/dev/null; sleep 1; rm -rf "$folder"' EXIT
mkdir "$folder"/{state,spool,out}
export SLURM_CONF=$folder/slurm.conf
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

head -c 128 /dev/urandom >"$folder/munge.key"
chmod 700 "$folder" && chmod 600 "$folder/munge.key"
# Clients of munge reach its socket through the folder, and must be allowed to.
munge=$(mktemp -d) && chmod 711 "$munge"
cat >"$SLURM_CONF" <<CONFIGURATION
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$munge/socket
SlurmctldPort=26817
SlurmdPort=26818
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES State=UP
CONFIGURATION
munged --force --key-file="$folder/munge.key" --socket="$munge/socket" \
  --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
slurmctld -i && slurmd
for _ in $(seq 30); do sinfo --noheader --format=%T 2>/dev/null | grep -q idle && break; sleep 1; done
echo "node: $(sinfo --noheader --format='%N %T %c CPUs' 2>&1)"

check() { # check WORDS CONDITION...: says whether a condition holds
  local words=$1
  shift
  if "$@"; then echo "right: $words"; else echo "WRONG: $words" && failures=$((failures + 1)); fi
}
lab() { # lab OUT FLAGS...: the command that each process runs
  echo "$python -m experiments.saturation --smoke --compilation_cache_dir= --out=$folder/out/$*"
}
same() { # same OUT: whether its results have the bits of one process's
  "$python" - "$folder/out/one" "$folder/out/$1" <<'COMPARE'
import sys
import xarray
one, other = (xarray.open_zarr(f"{out}/sweeps/runs.zarr", chunks=None).load() for out in sys.argv[1:])
sys.exit(any(one[name].values.tobytes() != other[name].values.tobytes() for name in one.data_vars))
COMPARE
}
says() { grep -q -- "$1" "$folder/said"; }
run() { timeout 300 "$@" >"$folder/said" 2>&1; }

run $(lab one) || cat "$folder/said"
run srun --ntasks=2 --overcommit $(lab srun --distributed)
check "srun: two processes end well" test $? = 0
check "srun: the bits are those of one process" same srun
run mpirun -n 2 --oversubscribe --bind-to none $(lab mpirun --distributed)
check "mpirun: two processes end well" test $? = 0
check "mpirun: the bits are those of one process" same mpirun

run srun --ntasks=2 --overcommit bash -c "$(lab differ --distributed) --learning_rate=1.\$SLURM_PROCID"
check "srun: processes with other flags exit 2" test $? = 2
check "srun: and say which" says "learning_rate: process 0 has 1.0, process 1 has 1.1"
check "srun: and write nothing" test ! -e "$folder/out/differ"
run srun --ntasks=2 --overcommit bash -c "cd $folder && mkdir -p at\$SLURM_PROCID && cd at\$SLURM_PROCID && \
  PYTHONPATH=$PWD $python -m experiments.saturation --smoke --distributed --out=results"
check "srun: an --out that is not shared is refused" says "out must be a folder that all processes share"

srun --ntasks=2 --overcommit bash -c "echo \$\$ >$folder/process\$SLURM_PROCID; \
  exec $(lab killed --distributed --seeds=20000)" >"$folder/said" 2>&1 &
step=$!
until ls "$folder/out/killed/sweeps/runs.zarr/progress/"[0-9]*.json >/dev/null 2>&1; do sleep 0.2; done
kill -9 "$(cat "$folder/process1")"
began=$(date +%s)
wait "$step"
seconds=$(($(date +%s) - began))
check "srun: when one is killed the other stops within 20 s ($seconds s)" test "$seconds" -le 20
check "srun: and says how to go on" says "saturation: another process.* has ended.*goes on from there"
run srun --ntasks=1 $(lab killed --seeds=20000)
check "srun: one process goes on from there" test $? = 0

run $(lab nowhere --distributed)
check "no cluster: exit 2" test $? = 2
check "no cluster: one line" test "$(wc -l <"$folder/said")" = 1
rm -rf "$munge"
echo "$failures wrong"
exit $((failures > 0))
