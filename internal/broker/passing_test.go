package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWhatPassesIsToldFromWhatAPersonMustMend(t *testing.T) {
	dial := func(err error) error {
		return &dialError{addr: "192.0.2.1:9092", err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}}
	}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("the topic has 0 partitions"), false},
		{context.Canceled, false},
		{fs(), false},
		{dial(syscall.ECONNREFUSED), true},
		{dial(syscall.EHOSTUNREACH), true},
		{dial(syscall.ENETUNREACH), true},
		{dial(syscall.EACCES), false},
		{&dialError{addr: "k1:9092", err: &net.DNSError{Err: "no such host", IsNotFound: true}}, true},
		{&dialError{addr: "k1:9092", err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, true},
		{&dialError{addr: "k1:9092", err: os.ErrDeadlineExceeded}, true},
		{errPaused, false},
		{context.DeadlineExceeded, true},
		{io.EOF, true},
		{syscall.ECONNRESET, true},
		{errors.New("unknown broker"), true},
		{kerr.LeaderNotAvailable, true},
		{kerr.NotLeaderForPartition, true},
		{kerr.OffsetNotAvailable, true},
		{kerr.RequestTimedOut, true},
		{kerr.UnknownTopicOrPartition, false},
		{kerr.UnknownTopicID, false},
		{kerr.TopicAuthorizationFailed, false},
		{kerr.ClusterAuthorizationFailed, false},
		{kerr.SaslAuthenticationFailed, false},
		{kerr.UnsupportedSaslMechanism, false},
		{kerr.UnsupportedVersion, false},
	} {
		for _, err := range []error{c.err, Sentence(c.err)} {
			if err != nil {
				err = fmt.Errorf("source nginx: topic access: %w", err)
			}
			if got := Passing(err); got != c.want {
				t.Errorf("%v: passing %v, want %v", err, got, c.want)
			}
		}
	}
}

// fs returns the error of a password that cannot be read.
func fs() error {
	_, err := readPassword("/nonexistent/password")
	return err
}

// A broker that goes and comes back is away for as long as it is down.
func TestABrokerThatIsDownPasses(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "access"))
	if err != nil {
		t.Fatal(err)
	}
	opts, _ := options(t, Config{Brokers: k.ListenAddrs()})
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := Topic(ctx, cl, "access", Read); err != nil {
		t.Fatal(err)
	}
	if _, err := Topic(ctx, cl, "excess", Read); err == nil || Passing(err) {
		t.Errorf("a topic that is not there passes: %v", err)
	}
	k.Close()
	if err := Answers(ctx, cl); err == nil || !Passing(err) {
		t.Errorf("a broker that is down does not pass: %v", err)
	}
	if err := Try(ctx, opts); err == nil || !Passing(err) {
		t.Errorf("a broker that was down when it was asked first does not pass: %v", err)
	}
}
