package digitalocean

func (a *API) hasCertificate(id string) bool { return false }

func (a *API) certificatePEM(id string) (cert, key []byte) { return nil, nil }
