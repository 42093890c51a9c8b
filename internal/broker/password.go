package broker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxPassword is how long a password may be, in bytes.
const maxPassword = 1 << 10

// password returns how to get at the password. No error holds any of it.
func (s *SASL) password(path func(string) string) func() (string, error) {
	if s.PasswordEnv != "" {
		return func() (string, error) {
			p := os.Getenv(s.PasswordEnv)
			if err := checkPassword(p); err != nil {
				return "", fmt.Errorf("password_env: %s: %w", s.PasswordEnv, err)
			}
			return p, nil
		}
	}
	name := path(s.PasswordFile)
	return func() (string, error) {
		p, err := readPassword(name)
		if err != nil {
			return "", fmt.Errorf("password_file: %w", err)
		}
		return p, nil
	}
}

// readPassword reads a file that only its owner may read. One newline at its
// end is an editor's, not the password's.
func readPassword(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: is not a regular file", name)
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		return "", fmt.Errorf("%s: has mode %04o, others than its owner can get at the password: chmod 600 it", name, m)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+3))
	if err != nil {
		return "", err
	}
	p := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if err := checkPassword(p); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func checkPassword(p string) error {
	switch {
	case p == "":
		return errors.New("the password is empty")
	case len(p) > maxPassword:
		return fmt.Errorf("the password is longer than %d bytes", maxPassword)
	case strings.ContainsRune(p, 0):
		return errors.New("the password holds a zero byte")
	}
	return nil
}
