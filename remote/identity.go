package remote

import (
	"bytes"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"
)

// plainAlgorithms are offered after those that could be accepted, so that a
// host with a wrong key still shows it and the error can name its fingerprint.
var plainAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// algorithms are the host key algorithms in the order in which we want them.
func (id Identity) algorithms() []string {
	var wanted []string
	if id.CA != nil {
		wanted = append(wanted, ssh.CertAlgoED25519v01)
	}
	for _, key := range id.Pinned {
		if key.Type() == ssh.KeyAlgoRSA {
			wanted = append(wanted, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		wanted = append(wanted, key.Type())
	}
	for _, algorithm := range plainAlgorithms {
		if !slices.Contains(wanted, algorithm) {
			wanted = append(wanted, algorithm)
		}
	}
	return wanted
}

// want says in words what is accepted, for errors.
func (id Identity) want() []string {
	var want []string
	if id.CA != nil {
		want = append(want, "a certificate for "+id.Mark+" by CA "+ssh.FingerprintSHA256(id.CA))
	}
	for _, key := range id.Pinned {
		want = append(want, key.Type()+" "+ssh.FingerprintSHA256(key))
	}
	return want
}

// proof is what one connection learned of its host.
type proof struct {
	accepted ssh.PublicKey
	refused  *HostKeyError
}

// check answers the callback that accepts a host by this identity and notes in
// p what it saw.
func (id Identity) check(p *proof) ssh.HostKeyCallback {
	return func(address string, _ net.Addr, key ssh.PublicKey) error {
		err := id.verify(key)
		if err != nil {
			err.Address = address
			p.refused = err
			return err
		}
		p.accepted = key
		return nil
	}
}

func (id Identity) verify(key ssh.PublicKey) *HostKeyError {
	refused := &HostKeyError{Want: id.want(), Got: key.Type() + " " + ssh.FingerprintSHA256(key)}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		for _, pinned := range id.Pinned {
			if bytes.Equal(pinned.Marshal(), key.Marshal()) {
				return nil
			}
		}
		return refused
	}
	refused.Got = "a certificate for " + quoteAll(cert.ValidPrincipals) + " by CA " + ssh.FingerprintSHA256(cert.SignatureKey)
	switch {
	case id.CA == nil, id.Mark == "":
		return refused
	case cert.CertType != ssh.HostCert:
		refused.Why = "it is no host certificate"
		return refused
	case !bytes.Equal(cert.SignatureKey.Marshal(), id.CA.Marshal()):
		refused.Why = "another authority signed it"
		return refused
	case !slices.Equal(cert.ValidPrincipals, []string{id.Mark}):
		refused.Why = "it is for another server"
		return refused
	}
	if err := new(ssh.CertChecker).CheckCert(id.Mark, cert); err != nil {
		refused.Why = err.Error()
		return refused
	}
	return nil
}
