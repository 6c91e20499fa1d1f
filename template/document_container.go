package template

// File is put into a container before it starts: a config, a secret, or a local file that a bind
// names. Its content travels with the release, never from a path of the server.
type File struct {
	Path    string `json:"path"`              // absolute, in the container
	Content Text   `json:"content,omitempty"` // bound where Bound is set
	Base64  bool   `json:"base64,omitempty"`  // Content, once revealed, is base64 of the bytes
	Bound   bool   `json:"bound,omitempty"`   // late references in Content are resolved
	Secret  bool   `json:"secret,omitempty"`  // kept in memory (tmpfs) or at mode 0600 on the host
	Mode    uint32 `json:"mode"`              // permission bits
	UID     string `json:"uid,omitempty"`     // numbers; empty: 0
	GID     string `json:"gid,omitempty"`
}

// Mount is storage in a container.
type Mount struct {
	Type        MountType `json:"type"`
	Source      string    `json:"source,omitempty"` // key of Release.Volumes, path on the server, or service
	Target      string    `json:"target,omitempty"` // absolute, in the container; empty for volumes_from
	ReadOnly    bool      `json:"read_only,omitempty"`
	CreatePath  bool      `json:"create_path,omitempty"` // bind: make the directory where it is missing
	Propagation string    `json:"propagation,omitempty"` // bind
	NoCopy      bool      `json:"no_copy,omitempty"`     // volume: do not fill it from the image
	Subpath     string    `json:"subpath,omitempty"`     // volume; engines from API 1.45 on
	Size        int64     `json:"size,omitempty"`        // tmpfs, bytes
	Mode        uint32    `json:"mode,omitempty"`        // tmpfs
	Options     string    `json:"options,omitempty"`     // tmpfs, as mount options: "noexec,size=64m"
	Tree        []File    `json:"tree,omitempty"`        // tree: paths are relative to Target
}

// MountType is the kind of a mount.
type MountType string

// The kinds of mounts.
const (
	MountVolume  MountType = "volume" // named; anonymous when Source is empty
	MountBind    MountType = "bind"   // an absolute path of the server
	MountTmpfs   MountType = "tmpfs"
	MountService MountType = "volumes_from" // all mounts of another service's container
	MountTree    MountType = "tree"         // a local directory, uploaded, read-only: it hides what the image has there
)

// Port is one published port. A random host port has Published 0; the engine chooses it anew at
// every start, so it is read back after each.
type Port struct {
	Target    int    `json:"target"`
	Protocol  string `json:"protocol"`            // tcp, udp, sctp
	HostIP    string `json:"host_ip,omitempty"`   // empty: all addresses
	Published int    `json:"published,omitempty"` // host port; with To, the first of a range
	To        int    `json:"to,omitempty"`        // last of the range that the engine may choose from
}

// Fixed reports whether the port is one certain host port, which two containers cannot share.
func (p Port) Fixed() bool { return p.Published != 0 && (p.To == 0 || p.To == p.Published) }

// Attachment is a service's place in a network.
type Attachment struct {
	Aliases     []string          `json:"aliases,omitempty"` // beside the service's name
	IPv4        string            `json:"ipv4,omitempty"`
	IPv6        string            `json:"ipv6,omitempty"`
	LinkLocal   []string          `json:"link_local,omitempty"`
	MAC         string            `json:"mac,omitempty"`
	Priority    int               `json:"priority,omitempty"` // the highest is attached first
	DriverOpts  map[string]string `json:"driver_opts,omitempty"`
	Interface   string            `json:"interface,omitempty"`
	GatewayPrio int               `json:"gateway_priority,omitempty"`
}

// Network is a network of a release.
type Network struct {
	Name       string            `json:"name"` // the engine's own name, project included
	External   bool              `json:"external,omitempty"`
	Driver     string            `json:"driver,omitempty"`
	DriverOpts map[string]string `json:"driver_opts,omitempty"`
	Internal   bool              `json:"internal,omitempty"`
	Attachable bool              `json:"attachable,omitempty"`
	IPv6       bool              `json:"ipv6,omitempty"`
	IPAMDriver string            `json:"ipam_driver,omitempty"`
	IPAM       []Pool            `json:"ipam,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Pool is a range of addresses.
type Pool struct {
	Subnet    string            `json:"subnet,omitempty"`
	Range     string            `json:"range,omitempty"`
	Gateway   string            `json:"gateway,omitempty"`
	Auxiliary map[string]string `json:"auxiliary,omitempty"`
}

// Volume is a named volume of a release. Its data is never removed without being named.
type Volume struct {
	Name       string            `json:"name"` // the engine's own name, project included
	External   bool              `json:"external,omitempty"`
	Driver     string            `json:"driver,omitempty"`
	DriverOpts map[string]string `json:"driver_opts,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Stateful   Stateful          `json:"stateful,omitempty"` // single-writer unless said otherwise, where a service mounts it writable; false: scratch
	PerServer  bool              `json:"per_server,omitempty"`
}

// Resources limits what a container may use, and states what it needs.
type Resources struct {
	CPUs             float64  `json:"cpus,omitempty"`              // limit
	Memory           int64    `json:"memory,omitempty"`            // limit, bytes
	PIDs             int64    `json:"pids,omitempty"`              // limit
	ReservedCPUs     float64  `json:"reserved_cpus,omitempty"`     // checked against the server at plan
	ReservedMemory   int64    `json:"reserved_memory,omitempty"`   // bytes; a floor, never a limit
	MemorySwap       int64    `json:"memory_swap,omitempty"`       // bytes, memory included; -1: no limit
	MemorySwappiness *int64   `json:"memory_swappiness,omitempty"` // 0 to 100
	CPUShares        int64    `json:"cpu_shares,omitempty"`
	CPUSet           string   `json:"cpuset,omitempty"`
	CPUPeriod        int64    `json:"cpu_period,omitempty"`
	CPUQuota         int64    `json:"cpu_quota,omitempty"`
	ShmSize          int64    `json:"shm_size,omitempty"` // bytes
	OOMKillDisable   bool     `json:"oom_kill_disable,omitempty"`
	OOMScoreAdj      int      `json:"oom_score_adj,omitempty"`
	Ulimits          []Ulimit `json:"ulimits,omitempty"` // sorted by name
}

// Ulimit is one limit of a process.
type Ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}

// Process is how the container's first process runs.
type Process struct {
	User       string   `json:"user,omitempty"`
	WorkingDir string   `json:"working_dir,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	Init       *bool    `json:"init,omitempty"`
	TTY        bool     `json:"tty,omitempty"`
	Stdin      bool     `json:"stdin,omitempty"`
	Runtime    string   `json:"runtime,omitempty"`
}

// Isolation is what a container may do to its host.
type Isolation struct {
	Privileged   bool              `json:"privileged,omitempty"`
	ReadOnly     bool              `json:"read_only,omitempty"` // of the root filesystem
	CapAdd       []string          `json:"cap_add,omitempty"`
	CapDrop      []string          `json:"cap_drop,omitempty"`
	SecurityOpts []string          `json:"security_opts,omitempty"`
	Sysctls      map[string]string `json:"sysctls,omitempty"`
	Devices      []Device          `json:"devices,omitempty"`
	DeviceRules  []string          `json:"device_rules,omitempty"`
	PID          string            `json:"pid,omitempty"` // host, service:NAME
	IPC          string            `json:"ipc,omitempty"` // host, private, shareable, service:NAME
	UTS          string            `json:"uts,omitempty"`
	UserNS       string            `json:"userns,omitempty"`
	Cgroup       string            `json:"cgroup,omitempty"` // host, private
	CgroupParent string            `json:"cgroup_parent,omitempty"`
	StorageOpts  map[string]string `json:"storage_opts,omitempty"`
}

// Device is a device of the host in a container.
type Device struct {
	Source      string `json:"source"`
	Target      string `json:"target"`
	Permissions string `json:"permissions,omitempty"`
}
