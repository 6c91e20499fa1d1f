package deploy

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/moby/moby/api/types/mount"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/template"
)

// putFileScript writes a file that containers mount. It writes into the file that is there rather
// than beside it: a container that mounts a single file keeps seeing the one that it was given.
// Folders are open to all, for those inside containers; on the host, only root gets through the
// stack's own folder.
const putFileScript = `mkdir -p "$(dirname "$1")"
umask 077
cat > "$1"
chown "$3:$4" "$1"
chmod "$2" "$1"`

// putFile writes one file of a release for containers to mount.
func (f folder) putFile(ctx context.Context, at string, file template.File) error {
	content, err := file.Bytes()
	if err != nil {
		return fmt.Errorf("file %s: %w", file.Path, err)
	}
	mode := file.Mode
	if mode == 0 {
		mode = 0o444
	}
	c := remote.Script(putFileScript, at, strconv.FormatUint(uint64(mode), 8), or(file.UID, "0"), or(file.GID, "0")).WithStdin(content).AsRoot()
	if _, err := f.host.Run(ctx, c); err != nil {
		return fmt.Errorf("file %s: %w", file.Path, err)
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// fileAt is where a service's i-th file lies on the server: a folder for each way in which its
// containers are made, so that a running container's files never change under it but by a refresh.
func (f folder) fileAt(service, config string, i int, file template.File) string {
	return f.path("files", filesName(service, config), strconv.Itoa(i), path.Base(file.Path))
}

// filesName is the name of that folder.
func filesName(service, config string) string { return service + "-" + config[:min(12, len(config))] }

// putFiles writes all files of a service and gives the mounts for its containers.
func (f folder) putFiles(ctx context.Context, name, config string, s template.Service) ([]mount.Mount, error) {
	var mounts []mount.Mount
	for i, file := range s.Files {
		at := f.fileAt(name, config, i, file)
		if err := f.putFile(ctx, at, file); err != nil {
			return nil, err
		}
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: at, Target: file.Path, ReadOnly: true})
	}
	for i, m := range s.Mounts {
		if m.Type != template.MountTree {
			continue
		}
		root := f.path("files", filesName(name, config), "tree-"+strconv.Itoa(i))
		if _, err := f.host.Run(ctx, remote.Argv("mkdir", "-p", root).AsRoot()); err != nil {
			return nil, err
		}
		for _, file := range m.Tree {
			if err := f.putFile(ctx, path.Join(root, path.Clean("/"+file.Path)), file); err != nil {
				return nil, err
			}
		}
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: root, Target: m.Target, ReadOnly: true})
	}
	return mounts, nil
}
