#!/usr/bin/env bash
# Debian's SLURM, for the tests in this folder. Installs what is missing; where it cannot, says so and ends well, since
# the tests then skip with the reason.
set -u
export PATH="$PATH:/usr/sbin:/sbin"

give_up() {
    echo "SLURM cannot be installed here ($1): the tests in tests/slurm will be skipped" >&2
    exit 0
}

# Of several names at once, `command -v` asks for one of them only.
if command -v munged > /dev/null && command -v slurmctld > /dev/null && command -v slurmd > /dev/null \
    && command -v sbatch > /dev/null; then
    echo "SLURM is installed: $(slurmctld -V)"
    exit 0
fi
command -v apt-get > /dev/null || give_up "no apt-get"
run=()
if [ "$(id -u)" != 0 ]; then
    sudo --non-interactive true 2> /dev/null || give_up "neither root nor sudo"
    run=(sudo --non-interactive)
fi
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq || give_up "apt-get update failed"
"${run[@]}" apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null || give_up "apt-get install failed"
echo "SLURM has been installed: $(slurmctld -V)"
