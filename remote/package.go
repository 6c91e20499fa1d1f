package remote

// packageScript installs the package that has the program $1 where it is missing: $2 is its name in
// Debian and Ubuntu, $3 that in the RHEL family.
const packageScript = `if command -v "$1" >/dev/null 2>&1; then exit 0; fi
if command -v apt-get >/dev/null 2>&1; then
` + aptPrelude + `install "$2"
elif command -v dnf >/dev/null 2>&1; then
dnf install -y --setopt=install_weak_deps=False "$3"
else
echo "$1 is missing, and neither apt-get nor dnf is there to install it" >&2
exit 1
fi
command -v "$1" >/dev/null 2>&1 || { echo "$1 is still missing" >&2; exit 1; }
echo "` + sayPrefix + `installed $1"`

// Package is the command that makes a program be there, by the host's own packages: debian and
// redhat name the one that has it. Where the program is there already nothing is done, and nothing
// printed; else the last line says that it was installed.
func Package(program, debian, redhat string) Command {
	return Script(packageScript, program, debian, redhat).AsRoot()
}
