package template

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

func (c *converter) volumes(perServer bool) map[string]Volume {
	out := map[string]Volume{}
	for key, v := range c.project.Volumes {
		x := c.extension([]string{"volumes", key, keyExtension}, v.Extensions)
		volume := Volume{
			Name: v.Name, External: bool(v.External), Driver: v.Driver, DriverOpts: copyMap(v.DriverOpts), Labels: copyMap(v.Labels),
			Stateful: x.stateful(), PerServer: x.boolean("per_server") || perServer,
		}
		x.done()
		out[key] = volume
	}
	return used(out, c.project.Services, func(s types.ServiceConfig) []string {
		var keys []string
		for _, m := range s.Volumes {
			keys = append(keys, m.Source)
		}
		return keys
	})
}

// storage fills in mounts and files of a service.
func (c *converter) storage(at []string, name string, in types.ServiceConfig, s *Service) {
	for i, v := range in.Volumes {
		c.mount(append(slices.Clone(at), "volumes", strconv.Itoa(i)), name, v, s)
	}
	for _, t := range in.Tmpfs {
		target, options, _ := strings.Cut(t, ":")
		s.Mounts = append(s.Mounts, Mount{Type: MountTmpfs, Target: path.Clean(target), Options: options})
	}
	for _, from := range in.VolumesFrom {
		service, mode, _ := strings.Cut(from, ":")
		if _, ok := c.project.Services[service]; !ok {
			c.errorf(append(slices.Clone(at), "volumes_from"), "services.%s.volumes_from: unknown service %q%s", name, service, didYouMean(service, c.project.ServiceNames()...))
		}
		s.Mounts = append(s.Mounts, Mount{Type: MountService, Source: service, ReadOnly: mode == "ro"})
	}
	for i, config := range in.Configs {
		where := append(slices.Clone(at), "configs", strconv.Itoa(i))
		if f, ok := c.configFile(where, config.Source); ok {
			s.Files = append(s.Files, c.place(where, f, types.FileReferenceConfig(config), "/"))
		}
	}
	for i, secret := range in.Secrets {
		where := append(slices.Clone(at), "secrets", strconv.Itoa(i))
		if f, ok := c.secretFile(where, secret.Source); ok {
			s.Files = append(s.Files, c.place(where, f, types.FileReferenceConfig(secret), "/run/secrets/"))
		}
	}
	slices.SortStableFunc(s.Mounts, func(a, b Mount) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Source, b.Source))
	})
	slices.SortStableFunc(s.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for i := 1; i < len(s.Files); i++ {
		if s.Files[i].Path == s.Files[i-1].Path {
			c.errorf(at, "services.%s: two files are put at %s", name, s.Files[i].Path)
		}
	}
}

func (c *converter) mount(at []string, name string, v types.ServiceVolumeConfig, s *Service) {
	if !path.IsAbs(v.Target) {
		c.errorf(at, "%s: the target %q is no absolute path in the container", strings.Join(at, "."), v.Target)
	}
	m := Mount{Type: MountType(v.Type), Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
	switch v.Type {
	case types.VolumeTypeVolume:
		if v.Volume != nil {
			m.NoCopy, m.Subpath = v.Volume.NoCopy, v.Volume.Subpath
		}
	case types.VolumeTypeTmpfs:
		if v.Tmpfs != nil {
			m.Size, m.Mode = int64(v.Tmpfs.Size), v.Tmpfs.Mode
		}
	case types.VolumeTypeBind:
		if strings.HasPrefix(c.sources.written(name, v.Target), "~") {
			c.errorf(at, "%s: ~ is a home folder of this machine, not of the server", strings.Join(at, ".")).Hint = "write a path of the server, from / on, or one of the stack's folder, from ./ on"
			return
		}
		if c.local(name, v) {
			c.upload(at, v, s)
			return
		}
		m.CreatePath = true
		if v.Bind != nil {
			m.CreatePath, m.Propagation = bool(v.Bind.CreateHostPath), v.Bind.Propagation
		}
	}
	s.Mounts = append(s.Mounts, m)
}

// local reports whether a bind names something of this machine: it was written as a relative path.
func (c *converter) local(service string, v types.ServiceVolumeConfig) bool {
	if written := c.sources.written(service, v.Target); written != "" && !strings.Contains(written, "$") {
		return strings.HasPrefix(written, ".")
	}
	rel, err := filepath.Rel(c.options.Dir, v.Source)
	return err == nil && filepath.IsLocal(rel)
}

// The most that is uploaded for one bind or file. Larger things belong into the image.
const (
	maxFile  = 1 << 20
	maxTree  = 4 << 20
	maxFiles = 1000
)

// upload turns a bind of a local file or folder into content of the release. The content travels
// by digest, since such files are often keys.
func (c *converter) upload(at []string, v types.ServiceVolumeConfig, s *Service) {
	what, shown := strings.Join(at, "."), c.sources.display(v.Source)
	info, err := os.Stat(v.Source)
	switch {
	case err != nil:
		c.errorf(at, "%s: ./%s does not exist on this machine", what, shown).Hint = "a relative path is uploaded from the stack's folder; a path of the server is written from / on; for data use a named volume"
	case info.Mode().IsRegular():
		if f, ok := c.readFile(at, v.Source, info, true); ok {
			f.Path = path.Clean(v.Target)
			s.Files = append(s.Files, f)
		}
	case !info.IsDir():
		c.errorf(at, "%s: ./%s is neither a file nor a folder", what, shown)
	case !v.ReadOnly:
		c.errorf(at, "%s: ./%s is a folder of this machine, which no server can write to", what, shown).Hint = "use a named volume for data, or add :ro to have the folder's content uploaded"
	default:
		if tree, ok := c.tree(at, v.Source); ok {
			s.Mounts = append(s.Mounts, Mount{Type: MountTree, Target: path.Clean(v.Target), ReadOnly: true, Tree: tree})
		}
	}
}

func (c *converter) tree(at []string, root string) ([]File, bool) {
	var files []File
	total := int64(0)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || d.Name() == "cloudship.state" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file", c.sources.display(p))
		}
		if total += info.Size(); total > maxTree || len(files) >= maxFiles {
			return fmt.Errorf("more than %s or %d files", size(maxTree), maxFiles)
		}
		f, ok := c.readFile(at, p, info, true)
		if !ok {
			return fs.SkipAll
		}
		rel, err := filepath.Rel(root, p)
		f.Path = filepath.ToSlash(rel)
		files = append(files, f)
		return err
	})
	if err != nil {
		c.errorf(at, "%s: %s cannot be uploaded: %v", strings.Join(at, "."), c.sources.display(root), err).Hint = "put large or many files into the image"
		return nil, false
	}
	return files, true
}

// written is the source of a service's volume as the user wrote it, found by its target; "" when
// it cannot be found.
func (s *sources) written(service, target string) string {
	for _, f := range slices.Backward(s.files) {
		for _, doc := range f.docs {
			at, ok := content(doc), true
			for _, name := range []string{"services", service, "volumes"} {
				if at, ok = step(at, name); !ok {
					break
				}
			}
			if at = content(at); !ok || at == nil {
				continue
			}
			for _, n := range at.Content {
				n = content(n)
				if n == nil {
					continue
				}
				parts := strings.Split(n.Value, ":")
				source, to := parts[0], parts[min(1, len(parts)-1)]
				if src, ok := step(n, "source"); ok {
					source = src.Value
					if t, ok := step(n, "target"); ok {
						to = t.Value
					}
				}
				if path.Clean(to) == path.Clean(target) {
					return source
				}
			}
		}
	}
	return ""
}
