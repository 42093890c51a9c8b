package emit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
)

// errNoSuchMap is that no line of HAProxy's configuration uses a map file.
var errNoSuchMap = errors.New("it has not loaded the map")

// errUnreachable is that nobody listens at a socket.
var errUnreachable = errors.New("cannot be reached")

const (
	haproxyTimeout = 30 * time.Second // of one command and its answer
	maxHAProxyLine = 512              // bytes of a line that is an entry
	// A payload must fit into HAProxy's buffer, 16 KiB unless tune.bufsize says
	// otherwise.
	maxPayload = 8 << 10
)

// haproxySocket is the runtime API of a HAProxy.
type haproxySocket struct {
	address string    // a path, or host:port
	said    time.Time // when it was last logged that it is left out
}

// ask sends a command and gives each line of the answer to line.
func (s *haproxySocket) ask(ctx context.Context, command []byte, line func([]byte) error) error {
	ctx, stop := context.WithTimeout(ctx, haproxyTimeout)
	defer stop()
	network := "unix"
	if !strings.HasPrefix(s.address, "/") {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, s.address)
	if err != nil {
		return s.unreachable(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(command); err != nil {
		return fmt.Errorf("haproxy at %s: %w", s.address, err)
	}
	lines := bufio.NewReaderSize(conn, maxPayload)
	for {
		text, err := lines.ReadSlice('\n')
		if len(text) > 0 && text[len(text)-1] == '\n' {
			text = text[:len(text)-1]
		}
		if e := line(text); e != nil {
			return fmt.Errorf("haproxy at %s: %w", s.address, e)
		}
		switch {
		case err != nil && ctx.Err() != nil: // also where the answer seems to have ended
			return fmt.Errorf("haproxy at %s: %w", s.address, ctx.Err())
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("haproxy at %s: %w", s.address, err)
		}
	}
}

// unreachable says what an operator can do about a socket.
func (s *haproxySocket) unreachable(err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "; it needs \"stats socket " + s.address + " mode 660 group haproxy level admin\" in its global section"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "; does it run?"
	case errors.Is(err, fs.ErrPermission):
		hint = "; add weir's user to the socket's group (ls -l shows it; group haproxy in the stats socket line sets it)"
	}
	return fmt.Errorf("haproxy at %s: %w: %w%s", s.address, errUnreachable, err, hint)
}

// answered is the error that an answer is; an empty line says that all is well.
func answered(text []byte) error {
	switch t := string(bytes.TrimSpace(text)); {
	case t == "":
		return nil
	case strings.HasPrefix(t, "Unknown map identifier"):
		return errNoSuchMap
	case strings.HasPrefix(t, "Permission denied"):
		return errors.New("permission denied; the socket needs \"level admin\" in haproxy's configuration")
	default:
		return fmt.Errorf("it says %.200q", t)
	}
}

// do sends a command that answers nothing.
func (s *haproxySocket) do(ctx context.Context, command []byte) error {
	return s.ask(ctx, command, answered)
}

// show returns the entries of a map, a key and a value a line.
func (s *haproxySocket) show(ctx context.Context, file string, most int) (body []byte, err error) {
	n := 0
	err = s.ask(ctx, []byte("show map "+file+"\n"), func(line []byte) error {
		if !bytes.HasPrefix(line, []byte("0x")) {
			return answered(line)
		}
		if n++; n > most || len(line) > maxHAProxyLine {
			return fmt.Errorf("%s holds more than %d entries or one of more than %d bytes, which weir did not write", file, most, maxHAProxyLine)
		}
		_, entry, _ := bytes.Cut(line, []byte(" "))
		body = append(append(body, entry...), '\n')
		return nil
	})
	return body, err
}

// knows reports whether HAProxy has loaded a map.
func (s *haproxySocket) knows(ctx context.Context, file string) error {
	found := false
	err := s.ask(ctx, []byte("show map\n"), func(line []byte) error {
		found = found || bytes.Contains(line, []byte(" ("+file+") "))
		if bytes.HasPrefix(line, []byte("Permission")) {
			return answered(line)
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("haproxy at %s: %w", s.address, errNoSuchMap)
	}
	return err
}

// replace fills a map anew, in one step as far as requests see it.
func (s *haproxySocket) replace(ctx context.Context, file string, body []byte) error {
	version := ""
	err := s.ask(ctx, []byte("prepare map "+file+"\n"), func(line []byte) error {
		if v, ok := bytes.CutPrefix(line, []byte("New version created: ")); ok {
			version = string(bytes.TrimSpace(v))
			return nil
		}
		return answered(line)
	})
	if err == nil && version == "" {
		err = fmt.Errorf("haproxy at %s: no new version of %s was created", s.address, file)
	}
	for err == nil && len(body) > 0 {
		n := len(body)
		if n > maxPayload {
			n = bytes.LastIndexByte(body[:maxPayload], '\n') + 1
		}
		command := fmt.Appendf(nil, "add map @%s %s <<\n%s\n", version, file, body[:n])
		body = body[n:]
		err = s.do(ctx, command)
	}
	if err != nil {
		return err
	}
	return s.do(ctx, fmt.Appendf(nil, "commit map @%s %s\n", version, file))
}
