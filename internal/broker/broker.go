package broker

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
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

// Validate reports every fault that can be seen without opening anything.
func (c Config) Validate() error { panic("not written yet") }

// Options returns what a client needs. Path makes a path of the configuration
// absolute.
func (c Config) Options(path func(string) string, log *slog.Logger) ([]kgo.Opt, error) {
	panic("not written yet")
}

// Try connects and returns within five seconds whether the cluster answers,
// with a sentence that says what is wrong and what to do.
func Try(ctx context.Context, opts []kgo.Opt) error { panic("not written yet") }

// Sentence turns an error of a client or a broker into one that an operator can
// act on; it wraps the error.
func Sentence(err error) error { panic("not written yet") }
