package deploy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudship/cloudship/certificate"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// orderFile is what certificates/NAME.order holds: an order at the CA whose private key lies on the
// server already. A run that was killed before the certificate came is gone on with, so that nothing
// is ordered twice.
type orderFile struct {
	Order     string   `json:"order"` // URL
	Request   []byte   `json:"request"`
	Directory string   `json:"directory"`
	Domains   []string `json:"domains"`
	Key       string   `json:"key"`
	KeySum    string   `json:"key_sha256"`
	Path      string   `json:"path"`
	Folder    string   `json:"folder"`
}

// answers reports whether the order is for what is wanted.
func (o orderFile) answers(spec *resource.CertificateSpec) bool {
	return o.Directory == spec.Directory && o.Key == spec.Key && o.Path == spec.Path && strings.Join(o.Domains, " ") == strings.Join(spec.Domains, " ")
}

// obtain gets a certificate into a folder of its own, and notes it.
func (w *certifying) obtain(ctx context.Context) error {
	seed := w.account(w.spec.Directory)
	key, err := certificate.AccountKey(seed)
	if err != nil {
		return err
	}
	ca, err := certificate.Open(certificate.Options{Directory: w.spec.Directory, CA: w.spec.CA, Email: w.spec.Email, Account: key, Say: w.say})
	if err != nil {
		return err
	}
	defer ca.Close()
	order, chain, err := w.goOn(ctx, ca)
	if err == nil && chain.Leaf == nil {
		if order, err = w.order(ctx, ca); err == nil {
			chain, err = w.issue(ctx, ca, order)
		}
	}
	if err != nil {
		return err
	}
	if err := w.machine.WriteFile(ctx, w.spec.Path+"/"+order.Folder+"/fullchain.pem", 0o644, "root", chain.PEM); err != nil {
		return err
	}
	previous := w.note.Folder
	if w.note.Spec != nil && w.note.Spec.Path != w.spec.Path {
		previous = ""
	}
	w.note = certificateFile{
		Mark: w.mark, Spec: w.spec, Got: w.now().UTC(), Folder: order.Folder, Previous: previous, Serial: chain.Serial(), KeySum: order.KeySum, Told: w.note.Told,
	}
	if err := w.write(ctx); err != nil {
		return err
	}
	w.say(fmt.Sprintf("certificate %s is got, until %s", w.note.Serial, chain.Leaf.NotAfter.UTC().Format(time.DateOnly)))
	return w.forgetOrder(ctx)
}

// goOn fetches what an earlier run has ordered and not got any more. There may be nothing to go on
// with; then the chain is empty.
func (w *certifying) goOn(ctx context.Context, ca *certificate.Client) (orderFile, certificate.Chain, error) {
	var order orderFile
	ok, err := w.folder.read(ctx, &order, "certificates", w.orderName())
	if err != nil || !ok {
		return order, certificate.Chain{}, err
	}
	if !order.answers(w.spec) || order.Folder == w.note.Folder { // of something else, or it was got to the end
		return order, certificate.Chain{}, w.forgetOrder(ctx)
	}
	lies, err := inspect(ctx, w.machine, order.Path, w.mark.Address.Name, order.Folder)
	if err != nil {
		return order, certificate.Chain{}, err
	}
	if lies.keySum != order.KeySum {
		return order, certificate.Chain{}, w.forgetOrder(ctx)
	}
	w.say("going on with the order of an earlier run")
	chain, err := w.issue(ctx, ca, order)
	if err == nil && !w.now().Before(chain.Renewal(time.Duration(w.spec.Renew)*time.Second)) {
		err = certificate.ErrStale // it is of a run long ago
	}
	if errors.Is(err, certificate.ErrStale) {
		w.say("that order is of no use any more: a new one is made")
		return order, certificate.Chain{}, w.forgetOrder(ctx)
	}
	return order, chain, err
}

// order proves the domains, and puts a new private key on the server before the CA is asked for the
// certificate of it.
func (w *certifying) order(ctx context.Context, ca *certificate.Client) (orderFile, error) {
	o := orderFile{Directory: w.spec.Directory, Domains: w.spec.Domains, Key: w.spec.Key, Path: w.spec.Path, Folder: "." + w.mark.Address.Name + "." + suffix()}
	w.say(fmt.Sprintf("ordering a certificate for %s", strings.Join(w.spec.Domains, ", ")))
	var err error
	if o.Order, err = ca.Prove(ctx, w.spec.Domains, &challenges{w}); err != nil {
		return o, err
	}
	key, err := certificate.NewKey(w.spec.Key)
	if err != nil {
		return o, err
	}
	if o.Request, err = certificate.Request(key, w.spec.Domains); err != nil {
		return o, err
	}
	text, err := certificate.EncodeKey(key)
	if err != nil {
		return o, err
	}
	sum := sha256.Sum256(text)
	o.KeySum = hex.EncodeToString(sum[:])
	if err := stage(ctx, w.machine, o.Path, o.Folder, string(w.mark.Stack), text); err != nil {
		return o, err
	}
	return o, w.folder.write(ctx, o, "certificates", w.orderName())
}

// issue asks the CA for the certificate of an order, and holds it against what was asked for.
func (w *certifying) issue(ctx context.Context, ca *certificate.Client, o orderFile) (certificate.Chain, error) {
	text, err := ca.Issue(ctx, o.Order, o.Request)
	if err != nil {
		return certificate.Chain{}, err
	}
	chain, err := certificate.ParseChain(text)
	if err == nil {
		err = chain.Answers(o.Request, o.Domains, w.now())
	}
	return chain, err
}

func (w *certifying) orderName() string { return w.mark.Address.Name + ".order" }

func (w *certifying) forgetOrder(ctx context.Context) error {
	return w.machine.RemoveFile(ctx, w.folder.path("certificates", w.orderName()))
}

// suffix tells the folders of one certificate apart.
func suffix() string { return strings.ToLower(rand.Text()[:8]) }

// challenges shows the CA its answers: files that the proxy serves.
type challenges struct{ *certifying }

var _ certificate.Prover = (*challenges)(nil)

// showScript writes an answer for the proxy to serve, who need not be root.
const showScript = `umask 022
mkdir -p "$1"
cat > "$1/$2"
chmod 644 "$1/$2"`

// Show writes the answer and asks the proxy for it, as the CA will.
func (s *challenges) Show(ctx context.Context, domain, token, answer string) error {
	if _, err := s.machine.Run(ctx, remote.Script(showScript, s.spec.Challenges, token).WithStdin([]byte(answer)).AsRoot()); err != nil {
		return fmt.Errorf("show the CA's challenge: %w", err)
	}
	s.say(domain + ": looking whether the proxy shows the challenge")
	return s.shows(ctx, domain, token, answer)
}

// Hide removes the answer.
func (s *challenges) Hide(ctx context.Context, token string) error {
	return s.machine.RemoveFile(ctx, s.spec.Challenges+"/"+token)
}
