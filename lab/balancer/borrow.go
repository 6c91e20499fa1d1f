package balancer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/lab/image"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// borrowImage is the server image whose Python opens a port for us.
const borrowImage = "debian-12-x64"

// borrowTimeout bounds the life of the container that opens a port.
const borrowTimeout = time.Minute

// opener is run with an address, a port and the path of a Unix socket: it
// opens the port and hands it over.
const opener = `
import socket, sys
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
listener = socket.socket(family, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, port))
listener.listen(4096)
owner = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
owner.connect(path)
socket.send_fds(owner, [b"."], [listener.fileno()])
owner.recv(1)
`

// borrow lets a container of the local Docker engine open a port that this
// user may not open, and takes the open port from it. The container is gone
// when borrow returns; the port is ours until it is closed.
func borrow(ctx context.Context, address string, progress func(string)) (net.Listener, error) {
	ref, err := image.Ensure(ctx, borrowImage, progress)
	if err != nil {
		return nil, err
	}
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return nil, err
	}
	defer docker.Close()
	dir, err := os.MkdirTemp("", "cloudship-port-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	meeting, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "port"), Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer meeting.Close()
	ctx, cancel := context.WithTimeout(ctx, borrowTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	made, err := docker.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: ref, Tty: true,
			Cmd: []string{"python3", "-c", opener, host, port, "/meeting/port"},
		},
		HostConfig: &container.HostConfig{NetworkMode: "host", Binds: []string{dir + ":/meeting"}},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), borrowTimeout)
		defer cancel()
		// What is left of it is a container that has ended.
		_, _ = docker.ContainerRemove(ctx, made.ID, client.ContainerRemoveOptions{Force: true})
	}()
	end := docker.ContainerWait(ctx, made.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := docker.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return nil, err
	}
	type handed struct {
		listener net.Listener
		err      error
	}
	got := make(chan handed, 1)
	go func() {
		l, err := receive(meeting)
		got <- handed{l, err}
	}()
	select {
	case h := <-got:
		return h.listener, h.err
	case <-end.Result:
		err = errors.New(printedBy(ctx, docker, made.ID))
	case err = <-end.Error:
	}
	meeting.Close() // ends receive
	if h := <-got; h.listener != nil {
		h.listener.Close()
	}
	return nil, err
}

func printedBy(ctx context.Context, docker *client.Client, id string) string {
	logs, err := docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, Tail: "1"})
	if err != nil {
		return err.Error()
	}
	defer logs.Close()
	text, err := io.ReadAll(io.LimitReader(logs, 1<<10))
	if err != nil {
		return err.Error()
	}
	return "a container that was to open it ended: " + strconv.Quote(string(text))
}

// receive takes an open port from whoever connects.
func receive(meeting *net.UnixListener) (net.Listener, error) {
	conn, err := meeting.AcceptUnix()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	rights := make([]byte, syscall.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, fmt.Errorf("%d messages with an open port, want one", len(messages))
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "port")
	defer file.Close()
	return net.FileListener(file)
}
