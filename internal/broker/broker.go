package broker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Config is how to reach a cluster.
type Config struct {
	Brokers []string `yaml:"brokers"` // host:port
	TLS     *TLS     `yaml:"tls"`
	SASL    *SASL    `yaml:"sasl"`
}

// TLS is how the brokers are known and, with CertFile, how they know weir.
type TLS struct {
	CAFile     string `yaml:"ca_file"`   // PEM; empty: the system's
	CertFile   string `yaml:"cert_file"` // PEM
	KeyFile    string `yaml:"key_file"`  // PEM
	ServerName string `yaml:"server_name"`
}

// SASL is who weir is. Mechanism is plain, scram-sha-256 or scram-sha-512.
type SASL struct {
	Mechanism    string `yaml:"mechanism"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"` // the name of an environment variable
}

// maxBrokers bounds what is tried at once; a client needs only a few to find
// the rest.
const maxBrokers = 64

// mechanisms is every SASL mechanism, as the configuration names it.
var mechanisms = []string{"plain", "scram-sha-256", "scram-sha-512"}

// Validate reports every fault that can be seen without opening anything.
func (c Config) Validate() (err error) {
	fault := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(format, args...)) }
	if n := len(c.Brokers); n == 0 {
		fault("brokers: none, must be at least one host:port")
	} else if n > maxBrokers {
		fault("brokers: %d, must be at most %d; a few are enough to find the rest", n, maxBrokers)
	}
	for _, b := range c.Brokers {
		if e := checkAddress(b); e != nil {
			fault("brokers: %w", e)
		}
	}
	if t := c.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		fault("tls: cert_file and key_file belong together, only one is given")
	}
	s := c.SASL
	if s == nil {
		return err
	}
	if !slices.Contains(mechanisms, s.Mechanism) {
		fault("sasl: mechanism: %q, must be one of %s", s.Mechanism, strings.Join(mechanisms, ", "))
	}
	if s.User == "" {
		fault("sasl: user: empty")
	}
	switch {
	case s.PasswordFile == "" && s.PasswordEnv == "":
		fault("sasl: no password: give password_file or password_env")
	case s.PasswordFile != "" && s.PasswordEnv != "":
		fault("sasl: password_file and password_env are both given, must be one of them")
	}
	if s.Mechanism == "plain" && c.TLS == nil && !c.loopback() {
		fault("sasl: mechanism plain without tls would send the password in the clear: add tls, or use scram-sha-512")
	}
	return err
}

// checkAddress says what is wrong with a host:port.
func checkAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q: must be host:port", addr)
	}
	if host == "" || strings.ContainsAny(host, " /\t\r\n@") {
		return fmt.Errorf("%q: %q is not a host", addr, host)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: port %q, must be between 1 and 65535", addr, port)
	}
	return nil
}

// loopback reports whether all brokers are on this machine.
func (c Config) loopback() bool {
	for _, b := range c.Brokers {
		host, _, err := net.SplitHostPort(b)
		if err != nil {
			return false
		}
		addr, err := netip.ParseAddr(host)
		if host != "localhost" && (err != nil || !addr.IsLoopback()) {
			return false
		}
	}
	return true
}
