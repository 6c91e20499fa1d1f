package digitalocean

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

func (a *API) domainRoutes() {
	a.handle("GET /v2/domains", a.listDomains)
	a.handle("POST /v2/domains", a.createDomain)
	a.handle("GET /v2/domains/{domain}", a.getDomain)
	a.handle("DELETE /v2/domains/{domain}", a.deleteDomain)
	a.handle("GET /v2/domains/{domain}/records", a.listRecords)
	a.handle("POST /v2/domains/{domain}/records", a.createRecord)
	a.handle("GET /v2/domains/{domain}/records/{record}", a.getRecord)
	a.handle("PUT /v2/domains/{domain}/records/{record}", a.updateRecord)
	a.handle("PATCH /v2/domains/{domain}/records/{record}", a.updateRecord)
	a.handle("DELETE /v2/domains/{domain}/records/{record}", a.deleteRecord)
}

// domain is a DNS zone with its records.
type domain struct {
	Name    string
	Records []*record
}

// record is a DNS record; what its type lacks is null.
type record struct {
	ID       int     `json:"id"`
	Type     string  `json:"type"`
	Name     string  `json:"name"`
	Data     string  `json:"data"`
	Priority *int    `json:"priority"`
	Port     *int    `json:"port"`
	TTL      int     `json:"ttl"`
	Weight   *int    `json:"weight"`
	Flags    *int    `json:"flags"`
	Tag      *string `json:"tag"`
}

// defaultTTL is in seconds.
const defaultTTL = 1800

var domainName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,}$`)

type domainView struct {
	Name     string  `json:"name"`
	TTL      *int    `json:"ttl"`
	ZoneFile *string `json:"zone_file"`
}

func viewDomain(d *domain) domainView {
	ttl := defaultTTL
	zone := "$ORIGIN " + d.Name + ".\n$TTL 1800\n"
	for _, r := range d.Records {
		zone += r.Name + " IN " + r.Type + " " + r.Data + "\n"
	}
	return domainView{Name: d.Name, TTL: &ttl, ZoneFile: &zone}
}

func (a *API) listDomains(c *call) (reply, error) {
	return page(c, "domains", a.state.Domains.List(c.now, c.timing.ListLag), viewDomain)
}

func (a *API) createDomain(c *call) (reply, error) {
	var wanted struct {
		Name string `json:"name"`
		IP   string `json:"ip_address"`
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	name := strings.ToLower(wanted.Name)
	if !domainName.MatchString(name) {
		return reply{}, invalid("Domain name is not a valid domain name")
	}
	if _, ok := a.state.Domains.Get(name); ok {
		return reply{}, invalid("The resource you are trying to create already exists.")
	}
	d := &domain{Name: name}
	d.Records = append(d.Records, &record{ID: a.nextID(), Type: "SOA", Name: "@", Data: "1800", TTL: defaultTTL})
	for _, ns := range []string{"ns1", "ns2", "ns3"} {
		d.Records = append(d.Records, &record{ID: a.nextID(), Type: "NS", Name: "@", Data: ns + ".digitalocean.com", TTL: defaultTTL})
	}
	if wanted.IP != "" {
		r := &record{ID: a.nextID(), Type: "A", Name: "@", Data: wanted.IP, TTL: defaultTTL}
		if err := r.check(); err != nil {
			return reply{}, err
		}
		d.Records = append(d.Records, r)
	}
	a.state.Domains.Put(c.now, name, d)
	// The answer of a create has no zone file yet.
	return reply{http.StatusCreated, map[string]any{"domain": domainView{Name: name}}}, nil
}

func (a *API) shownDomain(c *call) (*domain, error) {
	d, ok := a.state.Domains.Find(c.now, strings.ToLower(c.PathValue("domain")), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return d, nil
}

func (a *API) getDomain(c *call) (reply, error) {
	d, err := a.shownDomain(c)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, map[string]any{"domain": viewDomain(d)}}, nil
}

func (a *API) deleteDomain(c *call) (reply, error) {
	d, err := a.shownDomain(c)
	if err != nil {
		return reply{}, err
	}
	a.state.Domains.Delete(c.now, d.Name, c.now)
	return none, nil
}

// check tells what is wrong with a record, and drops what its type lacks.
func (r *record) check() error {
	if r.TTL == 0 {
		r.TTL = defaultTTL
	}
	if r.TTL < 30 {
		return invalid("TTL must be at least 30 seconds")
	}
	if r.Name == "" && r.Type != "SOA" {
		return invalid("Name can't be blank")
	}
	if r.Data == "" {
		return invalid("Data can't be blank")
	}
	ip, ipErr := netip.ParseAddr(r.Data)
	switch r.Type {
	case "A":
		if ipErr != nil || !ip.Is4() {
			return invalid("IP address is not a valid IPv4 address")
		}
	case "AAAA":
		if ipErr != nil || !ip.Is6() {
			return invalid("IP address is not a valid IPv6 address")
		}
	case "CNAME", "MX", "NS", "SRV":
		if r.Data != "@" && !strings.HasSuffix(r.Data, ".") {
			return invalid("Data needs to end with a dot (.)")
		}
	case "TXT", "CAA":
	default:
		return invalid("Type is not included in the list")
	}
	if r.Type != "MX" && r.Type != "SRV" {
		r.Priority = nil
	}
	if r.Type != "SRV" {
		r.Port, r.Weight = nil, nil
	}
	if r.Type != "CAA" {
		r.Flags, r.Tag = nil, nil
	}
	return nil
}

func recordReply(status int, r *record) (reply, error) {
	return reply{status, map[string]any{"domain_record": r}}, nil
}

// fullName is a record's name with its domain's.
func (d *domain) fullName(r *record) string {
	if r.Name == "@" {
		return d.Name
	}
	return r.Name + "." + d.Name
}

func (a *API) listRecords(c *call) (reply, error) {
	d, err := a.shownDomain(c)
	if err != nil {
		return reply{}, err
	}
	name, kind := c.URL.Query().Get("name"), c.URL.Query().Get("type")
	found := slices.DeleteFunc(slices.Clone(d.Records), func(r *record) bool {
		return kind != "" && r.Type != kind || name != "" && !strings.EqualFold(d.fullName(r), name)
	})
	return page(c, "domain_records", found, same)
}

func (a *API) createRecord(c *call) (reply, error) {
	d, err := a.shownDomain(c)
	if err != nil {
		return reply{}, err
	}
	var r record
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if err := r.check(); err != nil {
		return reply{}, err
	}
	r.ID = a.nextID()
	d.Records = append(d.Records, &r)
	return recordReply(http.StatusCreated, &r)
}

// shownRecord finds the record that the path names, and where it is.
func (a *API) shownRecord(c *call) (d *domain, i int, err error) {
	d, err = a.shownDomain(c)
	if err != nil {
		return nil, 0, err
	}
	id, err := c.number("record")
	if err != nil {
		return nil, 0, err
	}
	i = slices.IndexFunc(d.Records, func(r *record) bool { return r.ID == id })
	if i < 0 {
		return nil, 0, notFound()
	}
	return d, i, nil
}

func (a *API) getRecord(c *call) (reply, error) {
	d, i, err := a.shownRecord(c)
	if err != nil {
		return reply{}, err
	}
	return recordReply(http.StatusOK, d.Records[i])
}

// updateRecord changes what the body names; its type stays.
func (a *API) updateRecord(c *call) (reply, error) {
	d, i, err := a.shownRecord(c)
	if err != nil {
		return reply{}, err
	}
	r := *d.Records[i]
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	r.ID, r.Type = d.Records[i].ID, d.Records[i].Type
	if err := r.check(); err != nil {
		return reply{}, err
	}
	d.Records[i] = &r
	return recordReply(http.StatusOK, &r)
}

func (a *API) deleteRecord(c *call) (reply, error) {
	d, i, err := a.shownRecord(c)
	if err != nil {
		return reply{}, err
	}
	d.Records = slices.Delete(d.Records, i, i+1)
	return none, nil
}
