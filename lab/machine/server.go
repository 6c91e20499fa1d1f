package machine

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// options is the container that a server runs in.
func (g *ground) options(lab string, s Spec, ref string, host byte) client.ContainerCreateOptions {
	labels := map[string]string{
		labLabel:     lab,
		serverLabel:  s.ID,
		nameLabel:    s.Name,
		publicLabel:  g.public.address(host).String(),
		privateLabel: g.private.address(host).String(),
	}
	for key, value := range s.Labels {
		labels[userLabel+key] = value
	}
	memory := int64(s.MemoryMB) << 20
	return client.ContainerCreateOptions{
		Name: containerName(lab, s.ID),
		Config: &container.Config{
			Image:    ref,
			Hostname: hostname(s.Name),
			Tty:      true, // its console, for Console
			Env:      []string{"container=docker"},
			Labels:   labels,
		},
		HostConfig: &container.HostConfig{
			NetworkMode:  container.NetworkMode(g.public.id),
			CapAdd:       g.capabilities,
			CgroupnsMode: container.CgroupnsModePrivate,
			SecurityOpt:  []string{"seccomp=unconfined", "apparmor=unconfined", "label=disable"},
			// Empty, not nil: none is masked, as nested engines want to write there.
			MaskedPaths: []string{}, ReadonlyPaths: []string{},
			Tmpfs: map[string]string{"/run": "exec,mode=755", "/run/lock": ""},
			// Nested engines cannot keep their layers on layers.
			Mounts: []mount.Mount{volume(lab, "/var/lib/docker"), volume(lab, "/var/lib/containerd")},
			// A server that reboots itself, or whose engine restarts, comes back.
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
			Resources: container.Resources{
				DeviceCgroupRules: []string{"a *:* rwm"},
				Memory:            memory,
				MemorySwap:        memory,
				NanoCPUs:          int64(min(s.CPUs, g.processors)) * 1e9,
			},
		},
		NetworkingConfig: &network.NetworkingConfig{
			EndpointsConfig: map[string]*network.EndpointSettings{g.public.id: g.public.endpoint(host)},
		},
	}
}

// volume has no name, so that it goes with its container.
func volume(lab, target string) mount.Mount {
	return mount.Mount{
		Type: mount.TypeVolume, Target: target,
		VolumeOptions: &mount.VolumeOptions{Labels: map[string]string{labLabel: lab}},
	}
}

// hostname is the first label of the name, cut to what a kernel takes.
func hostname(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first[:min(len(first), 63)]
}

// seed is the archive that is unpacked over the server before it boots:
// cloud-init finds there what a cloud would tell it.
func (g *ground) seed(s Spec) ([]byte, error) {
	// JSON is YAML.
	metaData, err := json.Marshal(map[string]any{
		"instance-id":    s.ID,
		"local-hostname": s.Name,
		"public-keys":    s.AuthorizedKeys,
	})
	if err != nil {
		return nil, fmt.Errorf("meta-data: %w", err)
	}
	userData := s.UserData
	if userData == "" {
		userData = "#cloud-config\n{}\n"
	}
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, file := range []struct {
		path string
		mode int64
		data []byte
	}{
		{"var/lib/cloud/seed/nocloud/meta-data", 0o644, metaData},
		{"var/lib/cloud/seed/nocloud/user-data", 0o600, []byte(userData)},
		{"etc/cloudship-lab/resolv.conf", 0o644, []byte(g.resolvConf)},
	} {
		if err := archive.WriteHeader(&tar.Header{Name: file.path, Mode: file.mode, Size: int64(len(file.data))}); err != nil {
			return nil, err
		}
		if _, err := archive.Write(file.data); err != nil {
			return nil, err
		}
	}
	return buffer.Bytes(), archive.Close()
}
