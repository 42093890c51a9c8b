package emit

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// speaker is somebody who answers at a socket, whatever he is asked.
func speaker(t *testing.T, answer func(net.Conn)) *haproxySocket {
	t.Helper()
	s := &haproxySocket{address: filepath.Join(t.TempDir(), "s")}
	l, err := net.Listen("unix", s.address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				answer(conn)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return s
}

func TestAnAnswerOfASocketIsBounded(t *testing.T) {
	const most = 1000
	line := "0x7f00 203.0.113.7/32 4102444800:ab\n"
	for _, c := range []struct {
		name, text string
		times      int
		ok         bool
	}{
		{"as many as there may be", line, most, true},
		{"one more", line, most + 1, false},
		{"without an end", line, 1 << 40, false},
		{"a line as long as it may be", "0x7f " + strings.Repeat("a", maxHAProxyLine-5) + "\n", 1, true},
		{"a line that is longer", "0x7f " + strings.Repeat("a", maxHAProxyLine-4) + "\n", 1, false},
		{"a line without an end", "0x" + strings.Repeat("a", 1000), 1 << 40, false},
	} {
		s := speaker(t, func(conn net.Conn) {
			for range c.times {
				if _, err := conn.Write([]byte(c.text)); err != nil {
					return
				}
			}
		})
		body, err := s.show(t.Context(), "/weir.map", most)
		if (err == nil) != c.ok {
			t.Errorf("%s: %d bytes, %v", c.name, len(body), err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	s := speaker(t, func(conn net.Conn) { <-ctx.Done() })
	if _, err := s.show(ctx, "/weir.map", most); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that says nothing: %v", err)
	}
}

func TestWhatASocketSaysIsASentence(t *testing.T) {
	for text, want := range map[string]string{
		"Unknown map identifier. Please use #<id> or <file>.\n\n": "it has not loaded the map",
		"Permission denied\n\n":                                   `the socket needs "level admin"`,
		"'x' is not a valid IPv4 or IPv6 address.\n\n":            "is not a valid IPv4",
	} {
		s := speaker(t, func(conn net.Conn) {
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Error(err)
			}
		})
		if err := s.do(t.Context(), []byte("x\n")); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.address) {
			t.Errorf("%v, must say %s and the address", err, want)
		}
	}
	gone := &haproxySocket{address: filepath.Join(t.TempDir(), "s")}
	if err := gone.do(t.Context(), []byte("x\n")); !errors.Is(err, errUnreachable) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "level admin") {
		t.Errorf("%v", err)
	}
}

func TestSocketsAreOneOrAList(t *testing.T) {
	for _, c := range []struct {
		read func(any) error
		want int
	}{
		{func(v any) error {
			if s, ok := v.(*string); ok {
				*s = "/a"
				return nil
			}
			return errors.New("a text")
		}, 1},
		{func(v any) error {
			if s, ok := v.(*[]string); ok {
				*s = []string{"/a", "h:1"}
				return nil
			}
			return errors.New("a list")
		}, 2},
	} {
		var a Addresses
		if err := a.UnmarshalYAML(c.read); err != nil || len(a) != c.want || a[0] != "/a" {
			t.Errorf("%v, %v", a, err)
		}
	}
}
