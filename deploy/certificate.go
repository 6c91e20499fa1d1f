package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/cloudship/cloudship/certificate"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// certificates is the driver of the kind certificate. The CA is asked from here; a server gets files,
// and its proxy is told of them. Nothing of it stays running there.
type certificates struct {
	hosts   *Hosts
	options Options
}

// certificateFile is what certificates/NAME.json holds: what lies on the server, and who knows of it.
type certificateFile struct {
	Mark     resource.Mark             `json:"mark"`
	Spec     *resource.CertificateSpec `json:"spec"`
	Got      time.Time                 `json:"got"`      // when it was issued, by our clock
	Folder   string                    `json:"folder"`   // below Spec.Path: complete
	Previous string                    `json:"previous"` // the one before, until the proxy knows of the new one
	Serial   string                    `json:"serial"`
	KeySum   string                    `json:"key_sha256"` // of the file
	Told     string                    `json:"told"`       // the serial that the proxy was told of
}

// certifying is the work on one certificate.
type certifying struct {
	machine  machine
	folder   folder
	mark     resource.Mark
	spec     *resource.CertificateSpec
	server   resource.Found
	account  func(directory string) []byte
	tell     func(ctx context.Context) error // makes the proxy read the files anew
	say      func(string)
	now      func() time.Time
	patience time.Duration // with the proxy
	note     certificateFile
}

// put brings a certificate to what is wanted: got where none fits, in its place, and known to the
// proxy. It may be repeated and be killed anywhere.
func (d *certificates) put(ctx context.Context, c resource.Call, item resource.Item, spec *resource.CertificateSpec) (*resource.Found, error) {
	server, ok := c.Peers[spec.Server]
	if !ok {
		return nil, fmt.Errorf("%s: its server %s is not known", item.Mark.Address, spec.Server)
	}
	host, err := d.hosts.Reach(ctx, server, true, nil)
	if err != nil {
		return nil, err
	}
	say := func(line string) { c.Say(item.Mark.Address, line) }
	w := &certifying{
		machine: host, folder: d.hosts.folder(host), mark: item.Mark, spec: spec, server: server, account: d.options.Account, say: say, now: time.Now, patience: proxyPatience,
		tell: func(ctx context.Context) error { return d.tell(ctx, host, server, spec, c.Secrets, say) },
	}
	if err := w.bring(ctx); err != nil {
		found, lookErr := lookCertificate(context.WithoutCancel(ctx), host, w.folder, item.Mark.Address.Name, time.Now())
		if lookErr != nil {
			found = nil
		}
		return found, err
	}
	d.leave(ctx, c, item, spec, say)
	return lookCertificate(ctx, host, w.folder, item.Mark.Address.Name, time.Now())
}

// leave removes a certificate from the server where it lay before, if that can be reached.
func (d *certificates) leave(ctx context.Context, c resource.Call, item resource.Item, spec *resource.CertificateSpec, say func(string)) {
	if item.Have == nil {
		return
	}
	old, ok := item.Have.Spec.(*resource.CertificateSpec)
	if !ok || old.Server == spec.Server || old.Server.IsZero() {
		return
	}
	if err := d.removeFrom(ctx, c.Peers[old.Server], item.Mark.Address.Name); err != nil {
		say(fmt.Sprintf("its files on %s stay: %v", old.Server, err))
	}
}

// bring does the work: get, place, tell, in this order, each noted before the next.
func (w *certifying) bring(ctx context.Context) error {
	name := w.mark.Address.Name
	if _, err := w.folder.read(ctx, &w.note, "certificates", name+".json"); err != nil {
		return err
	}
	old := w.note
	fits, err := w.fits(ctx)
	if err != nil {
		return err
	}
	if !fits {
		if err := w.obtain(ctx); err != nil {
			return err
		}
	}
	if err := lead(ctx, w.machine, w.spec.Path, name, w.note.Folder, string(w.mark.Stack)); err != nil {
		return err
	}
	if w.note.Told != w.note.Serial || old.Spec == nil || old.Spec.Service != w.spec.Service || old.Spec.Hook != w.spec.Hook {
		if err := w.makeKnown(ctx); err != nil {
			return w.back(ctx, err)
		}
	}
	w.note.Mark, w.note.Spec, w.note.Told, w.note.Previous = w.mark, w.spec, w.note.Serial, ""
	if err := w.write(ctx); err != nil {
		return err
	}
	if old.Spec != nil && old.Spec.Path != w.spec.Path {
		if err := removeFiles(ctx, w.machine, old.Spec.Path, name, string(w.mark.Stack)); err != nil {
			w.say("what lies in " + old.Spec.Path + " stays: " + err.Error())
		}
	}
	return tidy(ctx, w.machine, w.spec.Path, name, w.note.Folder)
}

func (w *certifying) write(ctx context.Context) error {
	return w.folder.write(ctx, w.note, "certificates", w.mark.Address.Name+".json")
}

// fits reports whether what lies there is what is wanted, so that no CA need be asked.
func (w *certifying) fits(ctx context.Context) (bool, error) {
	old := w.note.Spec
	if old == nil || old.Path != w.spec.Path || old.Directory != w.spec.Directory || w.note.Folder == "" {
		return false, nil
	}
	lies, err := inspect(ctx, w.machine, w.spec.Path, w.mark.Address.Name, w.note.Folder)
	if err != nil {
		return false, err
	}
	return lies.problem(w.note) == "" && lies.chain.For(w.spec.Domains) && certificate.KindOfKey(lies.chain.Leaf.PublicKey) == w.spec.Key &&
		w.now().Before(lies.chain.Renewal(time.Duration(w.spec.Renew)*time.Second)) && !w.note.Got.Before(w.spec.After), nil
}

// makeKnown has the proxy read the files, and looks whether it serves them.
func (w *certifying) makeKnown(ctx context.Context) error {
	w.say(fmt.Sprintf("telling %s of certificate %s", w.spec.Service, w.note.Serial))
	if err := w.tell(ctx); err != nil {
		return err
	}
	lies, err := inspect(ctx, w.machine, w.spec.Path, w.mark.Address.Name, w.note.Folder)
	if err != nil {
		return err
	}
	if lies.chain.Leaf == nil {
		return errors.New("its files vanished")
	}
	return w.served(ctx, lies.chain.Fingerprint())
}

// back puts the files that the proxy still knows into their place again, so that it starts with a
// pair that it has served before.
func (w *certifying) back(ctx context.Context, why error) error {
	if w.note.Previous == "" || w.note.Previous == w.note.Folder {
		return why
	}
	ctx = context.WithoutCancel(ctx)
	lies, err := inspect(ctx, w.machine, w.spec.Path, w.mark.Address.Name, w.note.Previous)
	if err != nil {
		return errors.Join(why, err)
	}
	if lies.err != nil || lies.keySum == "" {
		return why // it is not there any more
	}
	if err := lead(ctx, w.machine, w.spec.Path, w.mark.Address.Name, w.note.Previous, string(w.mark.Stack)); err != nil {
		return errors.Join(why, err)
	}
	w.say("the certificate before is in its place again")
	return why
}

// lookCertificate finds a certificate on a server, or nil where none was ever got for good.
func lookCertificate(ctx context.Context, m machine, f folder, name string, now time.Time) (*resource.Found, error) {
	var note certificateFile
	if ok, err := f.read(ctx, &note, "certificates", name+".json"); err != nil || !ok || note.Spec == nil {
		return nil, err
	}
	lies, err := inspect(ctx, m, note.Spec.Path, name, note.Folder)
	if err != nil {
		return nil, err
	}
	found := &resource.Found{
		Mark: note.Mark, ID: note.Spec.Path + "/" + name, Spec: note.Spec, Ready: true,
		Observed: []string{"server", "domains", "directory", "email", "key", "renew", "challenges", "path", "service", "hook", "http_port", "https_port"},
	}
	before := time.Duration(note.Spec.Renew) * time.Second
	if lies.chain.Leaf != nil {
		found.Facts.Certificate = lies.chain.Facts(before)
	}
	found.Broken = lies.problem(note)
	if found.Broken != "" {
		return found, nil
	}
	const day = time.DateOnly
	switch end := lies.chain.Leaf.NotAfter; {
	case lies.link != note.Folder:
		found.Broken = "certificate " + note.Serial + " is not in its place yet"
	case note.Told != note.Serial:
		found.Broken = note.Spec.Service + " was not told of certificate " + note.Serial + " yet"
	case !now.Before(end):
		found.Broken = "it ended on " + end.UTC().Format(day)
	case !now.Before(lies.chain.Renewal(before)):
		found.Broken = "renewal is due: it ends on " + end.UTC().Format(day)
	}
	return found, nil
}

// look lists the certificates of the stack that lie on a server.
func (d *certificates) look(ctx context.Context, host *remote.Host, server resource.Found) ([]resource.Found, error) {
	return lookCertificates(ctx, host, d.hosts.folder(host), server)
}

func lookCertificates(ctx context.Context, m machine, f folder, server resource.Found) ([]resource.Found, error) {
	names, err := m.ListDir(ctx, f.path("certificates"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []resource.Found
	for _, file := range names {
		name, ok := strings.CutSuffix(file, ".json")
		if !ok || !resource.Label.MatchString(name) {
			continue // an order, or what a kill has left of a write
		}
		found, err := lookCertificate(ctx, m, f, name, time.Now())
		if err != nil {
			return nil, err
		}
		if found == nil || found.Mark.Stack != server.Mark.Stack || found.Mark.Generation != server.Mark.Generation {
			continue
		}
		if spec, ok := found.Spec.(*resource.CertificateSpec); ok && spec.Server == server.Mark.Address {
			list = append(list, *found)
		}
	}
	return list, nil
}

// remove takes a certificate's files away. Whoever serves them goes on until it reads them again.
func (d *certificates) remove(ctx context.Context, c resource.Call, item resource.Item) error {
	var server resource.Found
	if item.Have != nil {
		if spec, ok := item.Have.Spec.(*resource.CertificateSpec); ok {
			server = c.Peers[spec.Server]
		}
	}
	return d.removeFrom(ctx, server, item.Mark.Address.Name)
}

func (d *certificates) removeFrom(ctx context.Context, server resource.Found, name string) error {
	if server.Mark.Address.IsZero() {
		return nil // it went with its server
	}
	host, err := d.hosts.Reach(ctx, server, true, nil)
	if err != nil {
		return err
	}
	return removeCertificate(ctx, host, d.hosts.folder(host), name)
}

func removeCertificate(ctx context.Context, m machine, f folder, name string) error {
	var note certificateFile
	if _, err := f.read(ctx, &note, "certificates", name+".json"); err != nil {
		return err
	}
	if note.Spec != nil {
		if err := removeFiles(ctx, m, note.Spec.Path, name, string(note.Mark.Stack)); err != nil {
			return err
		}
	}
	for _, file := range []string{name + ".order", name + ".json"} {
		if err := m.RemoveFile(ctx, f.path("certificates", file)); err != nil {
			return err
		}
	}
	return nil
}

// addresses are where a server's own ports are tried from inside, the likeliest first.
func (w *certifying) addresses(port int) []string {
	var list []string
	for _, ip := range []string{"127.0.0.1", w.server.Facts.PrivateIP, w.server.Facts.PublicIP} {
		if ip != "" {
			list = append(list, net.JoinHostPort(ip, fmt.Sprint(port)))
		}
	}
	return list
}

// dial connects to a port of the server from inside, so that neither names nor firewalls matter.
func (w *certifying) dial(ctx context.Context, port int) (net.Conn, error) {
	var errs []error
	for _, address := range w.addresses(port) {
		conn, err := w.machine.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
