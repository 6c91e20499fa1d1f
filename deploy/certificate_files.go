package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudship/cloudship/certificate"
	"github.com/cloudship/cloudship/remote"
)

// The files of a certificate lie in a folder of their own beside the others, and NAME is a link to
// the one that counts:
//
//	PATH/NAME -> .NAME.3f9c2a71
//	PATH/.NAME.3f9c2a71/fullchain.pem, privkey.pem, cloudship
//
// A switch of the link is one motion, so nobody ever reads a chain with another one's key. Key and
// chain are new each time; the file cloudship names the stack whose they are.

// lying is what lies on a server.
type lying struct {
	link   string // where NAME leads to; empty where there is no link
	keySum string // SHA-256 of privkey.pem; empty where there is none
	chain  certificate.Chain
	err    error // why the chain cannot be read
}

const lyingScript = `if [ -L "$1/$2" ]; then echo "link $(readlink "$1/$2")"; else echo "link"; fi
if [ -f "$1/$3/privkey.pem" ]; then echo "key $(sha256sum < "$1/$3/privkey.pem" | cut -d' ' -f1)"; else echo "key"; fi
if [ -f "$1/$3/fullchain.pem" ]; then cat "$1/$3/fullchain.pem"; fi`

// inspect reads a certificate's files. The key itself is never read.
func inspect(ctx context.Context, m machine, path, name, folder string) (lying, error) {
	var l lying
	out, err := m.Run(ctx, remote.Script(lyingScript, path, name, folder).AsRoot())
	if err != nil {
		return l, fmt.Errorf("look at certificate %s in %s: %w", name, path, err)
	}
	first, rest, _ := strings.Cut(string(out.Stdout), "\n")
	second, text, _ := strings.Cut(rest, "\n")
	l.link = strings.TrimPrefix(strings.TrimPrefix(first, "link"), " ")
	l.keySum = strings.TrimPrefix(strings.TrimPrefix(second, "key"), " ")
	l.chain, l.err = certificate.ParseChain([]byte(text))
	return l, nil
}

// problem says in what the files are not those of a note, or "".
func (l lying) problem(note certificateFile) string {
	switch {
	case note.Folder == "":
		return "it was never got to the end"
	case l.err != nil:
		return "its chain is gone or damaged"
	case l.keySum == "":
		return "its private key is gone"
	case l.keySum != note.KeySum, l.chain.Serial() != note.Serial:
		return "its files are not those that were got"
	case note.Spec != nil && !l.chain.For(note.Spec.Domains):
		return "it is for other names than it should be"
	}
	return ""
}

// stageScript makes the folder of a certificate that is being got. Its parents are open to those who
// serve from there.
const stageScript = `umask 022
mkdir -p "$1/$2"
printf '%s\n' "$3" > "$1/$2/cloudship"`

// stage makes a folder and puts the private key into it. The key goes over standard input alone.
func stage(ctx context.Context, m machine, path, folder, stack string, key []byte) error {
	if _, err := m.Run(ctx, remote.Script(stageScript, path, folder, stack).AsRoot()); err != nil {
		return fmt.Errorf("make a folder for the certificate: %w", err)
	}
	return m.WriteFile(ctx, path+"/"+folder+"/privkey.pem", 0o600, "root", key)
}

// taken is the status by which a script says that something else is in the way.
const taken = 45

// leadScript leads NAME to a folder in one motion. What is no link of this stack's stays.
const leadScript = `cd "$1"
if [ -L "$2" ]; then
  now=$(readlink "$2")
  [ "$now" != "$3" ] || exit 0
  case $now in ".$2."*) ;; *) echo "$1/$2 leads to $now"; exit 45 ;; esac
  if [ -f "$now/cloudship" ] && [ "$(cat "$now/cloudship")" != "$4" ]; then echo "$1/$2 is of stack $(cat "$now/cloudship")"; exit 45; fi
elif [ -e "$2" ]; then
  echo "$1/$2 is there, and no link of cloudship's"; exit 45
fi
rm -f ".$2.switch"
ln -s "$3" ".$2.switch"
sync . 2>/dev/null || sync
mv -fT ".$2.switch" "$2"`

// lead makes a folder the one that counts.
func lead(ctx context.Context, m machine, path, name, folder, stack string) error {
	out, err := m.Run(ctx, remote.Script(leadScript, path, name, folder, stack).AsRoot())
	if err != nil {
		return orTaken(err, out, "put the certificate in its place")
	}
	return nil
}

// orTaken names what is in the way, where a script said so.
func orTaken(err error, out remote.Output, op string) error {
	var exit *remote.ExitError
	if what := strings.TrimSpace(string(out.Stdout)); errors.As(err, &exit) && exit.Code == taken && what != "" {
		return fmt.Errorf("%s: %s: take another path, or move it away", op, what)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// tidyScript removes the folders that count no more.
const tidyScript = `find "$1" -mindepth 1 -maxdepth 1 -type d -name ".$2.*" ! -name "$3" -exec rm -rf -- {} +`

func tidy(ctx context.Context, m machine, path, name, keep string) error {
	if _, err := m.Run(ctx, remote.Script(tidyScript, path, name, keep).AsRoot()); err != nil {
		return fmt.Errorf("remove the certificates before: %w", err)
	}
	return nil
}

// clearScript removes a certificate with all its folders, if it is this stack's.
const clearScript = `[ -d "$1" ] || exit 0
cd "$1"
if [ -L "$2" ]; then
  now=$(readlink "$2")
  if [ -f "$now/cloudship" ] && [ "$(cat "$now/cloudship")" != "$3" ]; then exit 0; fi
  case $now in ".$2."*) rm -f "$2" ;; esac
fi
for folder in ".$2."*; do
  if [ -f "$folder/cloudship" ] && [ "$(cat "$folder/cloudship")" = "$3" ]; then rm -rf "$folder"; fi
done`

func removeFiles(ctx context.Context, m machine, path, name, stack string) error {
	if _, err := m.Run(ctx, remote.Script(clearScript, path, name, stack).AsRoot()); err != nil {
		return fmt.Errorf("remove the certificate: %w", err)
	}
	return nil
}
