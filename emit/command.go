package emit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	commandTimeout = 30 * time.Second
	maxSaid        = 64 << 10 // bytes that are kept of what a command says
)

// findCommand finds a program also where a unit's PATH does not lead.
func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if !strings.Contains(name, "/") {
		for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
			if path := filepath.Join(dir, name); isProgram(path) {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w; install it, or give its path", name, errors.Unwrap(err))
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// said keeps the end of what a command says.
type said struct{ b []byte }

func (s *said) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	if n := len(s.b) - maxSaid; n > 0 {
		s.b = append(s.b[:0], s.b[n:]...)
	}
	return len(p), nil
}

// fault returns the line that says what is wrong.
func (s *said) fault() string {
	last := ""
	for line := range bytes.Lines(s.b) {
		text := strings.TrimSpace(string(line))
		if strings.Contains(text, "[emerg]") || strings.Contains(text, "[ALERT]") {
			return text
		}
		if text != "" {
			last = text
		}
	}
	return last
}

func newCommand(ctx context.Context, args []string) (*exec.Cmd, *said, error) {
	path, err := findCommand(args[0])
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	out := &said{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // a child of it may keep its output open
	return cmd, out, nil
}

// runCommand runs a command of the operator's. Its error is what the command
// said is wrong.
func runCommand(ctx context.Context, args []string) error {
	ctx, stop := context.WithTimeout(ctx, commandTimeout)
	defer stop()
	cmd, out, err := newCommand(ctx, args)
	if err == nil {
		err = ended(ctx, args, cmd.Run(), out)
	}
	return err
}

func ended(ctx context.Context, args []string, err error, out *said) error {
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", strings.Join(args, " "), ctx.Err())
	case out.fault() == "":
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return fmt.Errorf("%s: %w: %.500s", strings.Join(args, " "), err, out.fault())
}

// eachLine runs a command and hands over every line that it prints, without its
// newline and up to the size of a buffer.
func eachLine(ctx context.Context, args []string, take func(line string)) error {
	ctx, stop := context.WithTimeout(ctx, commandTimeout)
	defer stop()
	cmd, out, err := newCommand(ctx, args)
	if err != nil {
		return err
	}
	cmd.Stdout = nil
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	r := bufio.NewReader(pipe)
	for begins := true; ; {
		text, more, e := r.ReadLine()
		if e != nil {
			break // its end; what went wrong is said by Wait
		}
		if begins {
			take(string(text))
		}
		begins = !more
	}
	return ended(ctx, args, cmd.Wait(), out)
}
