#!/usr/bin/env bash
# Debian 12's libxrt-utils 202210.2.13.466+dfsg-8 puts an xclbinutil on PATH that is only a wrapper: the program it
# calls is not in the package, and where it is installed it ends with exit code 0 all the same. A script that packs an
# xclbin and trusts the exit code goes on without a file.
# Here: build.sh ends with an error when final.xclbin is not there, whatever the exit codes were.
# Needs Debian 12 with its package lists (apt-get update).
. "$(dirname "$0")/common.bash"

cd "$work"
apt-get download -q libxrt-utils=202210.2.13.466+dfsg-8 >/dev/null 2>&1
mkdir -p usr
dpkg -x ./*.deb root
# The wrapper tells an installed copy by "/usr" in its own path.
cp -r root/usr/. usr/
code=0
"$work/usr/bin/xclbinutil" --help >/dev/null 2>err || code=$?
output="exit code $code
$(grep -o 'unwrapped/xclbinutil: No such file or directory' err)
unwrapped programs in the package: $(dpkg -c ./*.deb | grep -c '/unwrapped/' || true)"

expect "xclbinutil of Debian's libxrt-utils 202210.2.13.466+dfsg-8 does nothing and succeeds" <<'SEEN'
exit code 0
unwrapped/xclbinutil: No such file or directory
unwrapped programs in the package: 0
SEEN
