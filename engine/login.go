package engine

import (
	"context"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/remote"
)

// login gives the user's own keys for the servers of a provider whose servers existed before. They
// are read once, and forgotten at the end.
func (s *Session) login(ctx context.Context, provider string) ([]ssh.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logins[provider]; l != nil {
		return l.Signers, nil
	}
	block, ok := s.blocks()[provider]
	if !ok {
		return nil, fmt.Errorf("there is no provider %q", provider)
	}
	identity, _ := block.config.Values["identity"].(string)
	l, err := remote.UserKeys(ctx, identity, s.lookupEnv)
	if err != nil {
		return nil, err
	}
	if s.logins == nil {
		s.logins = map[string]*remote.UserLogin{}
	}
	s.logins[provider] = l
	return l.Signers, nil
}
