package kafkatest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// quick are settings that make a broker quick to start and to notice things.
// Left alone it keeps 50 partitions of offsets and 128 MiB for the log cleaner.
var quick = map[string]string{
	"auto.create.topics.enable": "false",
	// A broker that was killed is registered anew only when the session of its
	// former life has run out.
	"broker.session.timeout.ms":                                   "3000",
	"broker.heartbeat.interval.ms":                                "200",
	"offsets.topic.num.partitions":                                "3",
	"transaction.state.log.num.partitions":                        "3",
	"share.coordinator.state.topic.num.partitions":                "3",
	"group.initial.rebalance.delay.ms":                            "0",
	"group.min.session.timeout.ms":                                "1000",
	"group.consumer.min.session.timeout.ms":                       "1000",
	"group.consumer.min.heartbeat.interval.ms":                    "500",
	"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
	"log.cleaner.dedupe.buffer.size":                              "8388608",
	"num.network.threads":                                         "2",
	"num.io.threads":                                              "3",
}

// properties returns the configuration of node n.
func (c *Cluster) properties(n *node) map[string]string {
	voters := make([]string, len(c.nodes))
	for i, other := range c.nodes {
		voters[i] = fmt.Sprintf("%d@%s", other.id, other.controller)
	}
	listeners := []string{"PLAIN://" + n.plain}
	if n.tls != "" {
		listeners = append(listeners, "TLS://"+n.tls)
	}
	if n.sasl != "" {
		listeners = append(listeners, "SASL://"+n.sasl)
	}
	replicas := strconv.Itoa(min(3, len(c.nodes)))
	insync := strconv.Itoa(min(2, len(c.nodes)))
	p := maps.Clone(quick)
	maps.Copy(p, map[string]string{
		// Tests write records of times long past, which a broker would delete.
		"log.retention.ms":                                 "-1",
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(n.id),
		"log.dirs":                                         n.data(),
		"controller.quorum.voters":                         strings.Join(voters, ","),
		"controller.listener.names":                        "CONTROLLER",
		"advertised.listeners":                             strings.Join(listeners, ","),
		"listeners":                                        strings.Join(append(listeners, "CONTROLLER://"+n.controller), ","),
		"listener.security.protocol.map":                   "PLAIN:PLAINTEXT,TLS:SSL,SASL:SASL_SSL,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":                       "PLAIN",
		"default.replication.factor":                       replicas,
		"offsets.topic.replication.factor":                 replicas,
		"transaction.state.log.replication.factor":         replicas,
		"share.coordinator.state.topic.replication.factor": replicas,
		"min.insync.replicas":                              insync,
		"transaction.state.log.min.isr":                    insync,
		"share.coordinator.state.topic.min.isr":            insync,
	})
	if n.tls != "" || n.sasl != "" {
		p["ssl.keystore.type"] = "PEM"
		p["ssl.keystore.location"] = c.store
	}
	if n.sasl != "" {
		p["listener.name.sasl.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
		p["listener.name.sasl.plain.sasl.jaas.config"] = fmt.Sprintf(
			"org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=\"%s\";", User, Password)
		for _, m := range []string{"256", "512"} {
			p["listener.name.sasl.scram-sha-"+m+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		}
	}
	return p
}

func writeProperties(file string, p map[string]string) error {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", k, p[k])
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}
