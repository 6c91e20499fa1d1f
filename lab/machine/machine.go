// Package machine makes the lab's servers. A Host makes, powers and removes
// them; Containers is a Host whose servers are real ones in Docker containers
// (systemd, cloud-init, sshd, room for Docker inside). The package knows no
// cloud's API: that is for the packages that call it.
package machine

import "context"

// Spec is what a new server shall be.
type Spec struct {
	ID   string // unique in the host, chosen by the caller
	Name string // host name
	// Image is an image slug, such as "debian-12-x64".
	Image string
	// UserData is handed to cloud-init as it is; empty means none.
	UserData string
	// AuthorizedKeys may log in as root, one line of authorized_keys each.
	AuthorizedKeys []string
	// MemoryMB bounds the memory of everything on the server; 0 means no bound.
	MemoryMB int
	// CPUs bounds its processors; 0 means no bound.
	CPUs int
	// Labels are kept with the server and come back from List.
	Labels map[string]string
}

// Machine is a server as it was found.
type Machine struct {
	ID, Name  string
	PublicIP  string
	PrivateIP string // may equal PublicIP
	Running   bool
	Labels    map[string]string
}

// Host keeps servers. All methods may be called concurrently.
type Host interface {
	// Create returns as soon as the server's addresses are known; it goes on
	// booting. A create that fails leaves nothing behind.
	Create(ctx context.Context, s Spec) (Machine, error)
	// Delete removes a server and its disks. It is nil if the server is gone.
	Delete(ctx context.Context, id string) error
	// SetPower switches a server on or off; its addresses and disks stay.
	SetPower(ctx context.Context, id string, on bool) error
	// Reboot stops and starts a server; its addresses and disks stay.
	Reboot(ctx context.Context, id string) error
	// List answers every server of this host, those that were made by an
	// earlier process included, sorted by ID.
	List(ctx context.Context) ([]Machine, error)
	// Close lets go of the host's resources. Servers stay.
	Close() error
}
