package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValidateReportsEveryFault(t *testing.T) {
	long := make([]string, maxBrokers+1)
	for i := range long {
		long[i] = fmt.Sprintf("k%d:9092", i)
	}
	sasl := func(mechanism string) *SASL {
		return &SASL{Mechanism: mechanism, User: "weir", PasswordEnv: "X"}
	}
	for _, c := range []struct {
		name string
		cfg  Config
		want []string // none: valid
	}{
		{"minimal", Config{Brokers: []string{"k1:9092"}}, nil},
		{"as many brokers as may be", Config{Brokers: long[:maxBrokers]}, nil},
		{"too many brokers", Config{Brokers: long}, []string{"brokers: 65, must be at most 64"}},
		{"none", Config{}, []string{"brokers: none"}},
		{"addresses", Config{Brokers: []string{"k1", ":9092", "k1:0", "k1:65536", "k1:kafka", "kafka://k1:9092", "a b:1", "[2001:db8::1]:9092"}},
			[]string{`"k1": must be host:port`, `":9092": "" is not a host`, `"k1:0": port "0"`, `"k1:65536": port "65536"`, `"k1:kafka": port "kafka"`, `"kafka://k1:9092": must be host:port`, `"a b:1": "a b" is not a host`}},
		{"half a certificate", Config{Brokers: []string{"k1:9092"}, TLS: &TLS{CertFile: "c"}}, []string{"cert_file and key_file"}},
		{"nothing of sasl", Config{Brokers: []string{"k1:9092"}, SASL: &SASL{}}, []string{`mechanism: ""`, "user: empty", "no password"}},
		{"two passwords", Config{Brokers: []string{"k1:9092"}, SASL: &SASL{Mechanism: "scram-sha-256", User: "u", PasswordFile: "f", PasswordEnv: "E"}}, []string{"both given"}},
		{"plain in the clear", Config{Brokers: []string{"127.0.0.1:9092", "192.0.2.1:9092"}, SASL: sasl("plain")}, []string{"without tls"}},
		{"plain in the clear to a name", Config{Brokers: []string{"localhost.example:9092"}, SASL: sasl("plain")}, []string{"without tls"}},
		{"plain over tls", Config{Brokers: []string{"192.0.2.1:9092"}, TLS: &TLS{}, SASL: sasl("plain")}, nil},
		{"plain on loopback", Config{Brokers: []string{"127.0.0.1:9092", "[::1]:9092", "localhost:9092"}, SASL: sasl("plain")}, nil},
		{"scram in the clear", Config{Brokers: []string{"192.0.2.1:9092"}, SASL: sasl("scram-sha-512")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.cfg.Validate()
			if len(c.want) == 0 {
				if err != nil {
					t.Fatalf("got %v, want no fault", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("got no fault, want %q", c.want)
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(c.want) {
				t.Errorf("got %d faults, want %d: %v", got, len(c.want), err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %v, want it to say %q", err, w)
				}
			}
		})
	}
}

func TestPasswordComesFromItsOwnersFileOnly(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		content string
		mode    os.FileMode
		want    string
		err     string
	}{
		{"secret", 0o600, "secret", ""},
		{"secret\n", 0o400, "secret", ""},
		{"secret\r\n", 0o600, "secret", ""},
		{"secret\n\n", 0o600, "secret\n", ""},
		{" secret ", 0o600, " secret ", ""},
		{"secret", 0o640, "", "chmod 600"},
		{"secret", 0o604, "", "chmod 600"},
		{"\n", 0o600, "", "empty"},
		{"", 0o600, "", "empty"},
		{"a\x00secret", 0o600, "", "zero byte"},
		{strings.Repeat("x", maxPassword) + "\n", 0o600, strings.Repeat("x", maxPassword), ""},
		{strings.Repeat("x", maxPassword+1), 0o600, "", "longer than 1024"},
	} {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, c.mode); err != nil {
			t.Fatal(err)
		}
		s := SASL{PasswordFile: fmt.Sprint(i)}
		got, err := s.password(func(p string) string { return filepath.Join(dir, p) })()
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%q: got %q, %v, want %q", c.content, got, err, c.want)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("mode %04o: got %v, want %q", c.mode, err, c.err)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("the error shows the password: %v", err)
		}
	}
	if _, err := readPassword(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v for a directory", err)
	}
	t.Setenv("WEIR_TEST_PASSWORD", "from the environment")
	if got, err := (&SASL{PasswordEnv: "WEIR_TEST_PASSWORD"}).password(nil)(); err != nil || got != "from the environment" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := (&SASL{PasswordEnv: "WEIR_TEST_UNSET"}).password(nil)(); err == nil || !strings.Contains(err.Error(), "WEIR_TEST_UNSET") {
		t.Errorf("got %v for a variable that is not set", err)
	}
}
