package remote

// sayPrefix marks the lines of an installation that tell what was done.
const sayPrefix = "cloudship: "

// aptPrelude waits for the locks of other installations (as cloud-init's or
// unattended upgrades'), mends one that was interrupted, and defines install.
const aptPrelude = `export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
unlocked() {
	waits=0
	while :; do
		code=$({ { "$@" 2>&1 || echo $? >&3; } | tee "$log" >&4; } 3>&1)
		[ -n "$code" ] || return 0
		waits=$((waits + 1))
		if [ "$waits" -gt 300 ] || ! grep -q 'lock was locked by\|Could not get lock\|Unable to lock' "$log"; then
			grep '^[EW]: \|^dpkg' "$log" >&2 || tail -n 5 "$log" >&2
			return "$code"
		fi
		echo "waiting for another package installation to end"
		sleep 2
	done
} 4>&1
get() { unlocked apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Retries=3 "$@"; }
install() {
	get install -y --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}
armor=
if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then armor=apparmor; fi
unlocked dpkg --configure -a
get update
`

// startDocker has Docker run now and after each boot.
const startDocker = `systemctl enable --quiet docker
systemctl is-active --quiet docker || systemctl start docker
`

// aptScript installs the distribution's own package.
const aptScript = aptPrelude + `install docker.io ca-certificates $armor
echo "cloudship: installed docker.io $(dpkg-query -W -f '${Version}' docker.io) of the distribution"
` + startDocker

// aptRepositoryScript installs from Docker's own repository: $1 is the
// distribution there and $2 its code name.
const aptRepositoryScript = aptPrelude + `install ca-certificates curl $armor
mkdir -p /etc/apt/keyrings
curl -fsSL --retry 3 -o /etc/apt/keyrings/docker.asc.new "https://download.docker.com/linux/$1/gpg"
chmod 0644 /etc/apt/keyrings/docker.asc.new
mv -f /etc/apt/keyrings/docker.asc.new /etc/apt/keyrings/docker.asc
echo "deb [arch=$(dpkg --print-architecture) signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/$1 $2 stable" \
	>/etc/apt/sources.list.d/docker.list
get update
install docker-ce containerd.io
echo "cloudship: installed docker-ce $(dpkg-query -W -f '${Version}' docker-ce) of Docker's repository"
` + startDocker

// dnfScript installs from Docker's own repository, the only one with Docker
// for this family: $1 is the distribution there.
const dnfScript = `curl -fsSL --retry 3 -o /etc/yum.repos.d/docker-ce.repo "https://download.docker.com/linux/$1/docker-ce.repo"
dnf install -y --setopt=install_weak_deps=False docker-ce containerd.io
echo "cloudship: installed docker-ce $(rpm -q --qf '%{VERSION}' docker-ce) of Docker's repository"
` + startDocker
