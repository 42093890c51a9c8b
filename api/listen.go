package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxSocketPath is how long a socket's path may be: what the kernel takes (107
// bytes), less the private directory in which it is made.
const maxSocketPath = 107 - len("/.weir-0123456789")

// listener hands out at most maxConnections connections at a time.
type listener struct {
	net.Listener
	name    string
	changes bool // what comes by it may change something
	path    string
	file    os.FileInfo // of the socket, so that another one's is not removed
	slots   chan struct{}
	refused *atomic.Int64
}

// Accept closes what comes over the limit: it is told at once, and nothing is
// kept waiting behind it.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &conn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			l.refused.Add(1)
			if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return nil, err
			}
		}
	}
}

// Close closes the listener and removes its socket, if it is still its own.
func (l *listener) Close() error {
	err := l.Listener.Close()
	if l.path == "" {
		return err
	}
	if now, e := os.Lstat(l.path); e == nil && os.SameFile(now, l.file) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}

type conn struct {
	net.Conn
	free func()
}

func (c *conn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// CheckListen refuses an address that others than this machine can reach. A name
// is not looked up: what it means may change.
func CheckListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen: %q, must be host:port such as 127.0.0.1:8480", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("listen: %q: port %q, must be a number up to 65535", address, port)
	}
	if host == "localhost" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
		return fmt.Errorf("listen: %q, must be on loopback such as 127.0.0.1:8480: the api knows no passwords; put a proxy that does in front of it", address)
	}
	return nil
}

func listenTCP(address string, refused *atomic.Int64) (*listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("api: listen on %s (api: listen: in weir.yaml): %w", address, err)
	}
	// A name may mean anything by now.
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("api: listen: %s means %s, must be on loopback", address, l.Addr()), l.Close())
	}
	return newListener(l, l.Addr().String(), refused), nil
}

func newListener(l net.Listener, name string, refused *atomic.Int64) *listener {
	return &listener{Listener: l, name: name, slots: make(chan struct{}, maxConnections), refused: refused}
}

// listenSocket makes the socket in a directory that nobody else can enter and
// moves it to its place once its mode is right, so that there is no moment at
// which others could connect. One that a killed run left is replaced.
func listenSocket(path string, refused *atomic.Int64) (_ *listener, err error) {
	if c, e := net.DialTimeout("unix", path, time.Second); e == nil {
		return nil, errors.Join(fmt.Errorf("api: %s: another weir answers there already", path), c.Close())
	}
	if info, e := os.Lstat(path); e == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("api: %s: is there and is no socket; move it away", path)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".weir-")
	if err != nil {
		return nil, fmt.Errorf("api: socket: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := filepath.Join(dir, "s")
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("api: socket: %w", err)
	}
	u.SetUnlinkOnClose(false) // it moves; Close sees to it
	l := newListener(u, path, refused)
	l.changes, l.path = true, path
	if err = os.Chmod(made, 0o600); err == nil {
		if l.file, err = os.Lstat(made); err == nil {
			err = os.Rename(made, path)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("api: socket: %w", err), u.Close())
	}
	return l, nil
}
