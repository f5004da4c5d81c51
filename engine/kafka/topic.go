package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Replication that survives the loss of one broker without losing what was acknowledged.
const (
	safeReplicas = 3
	safeInSync   = 2
)

// Topic is what a topic must be like.
type Topic struct {
	// Name is without the prefix of the URL.
	Name       string
	Partitions int
	// Retention is how long a topic that is created keeps its messages; 0 leaves it to the broker.
	Retention time.Duration
}

// Ensure creates the topic if it is missing, with min(3, brokers) replicas (or replicas= of the URL) and, where there are
// three, min.insync.replicas=2. It refuses a topic with another number of partitions. What it returns beside a nil error are
// warnings: things that are weaker than they should be, each with what is not promised then.
func (c *Cluster) Ensure(ctx context.Context, t Topic) (warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.StartTimeout)
	defer cancel()
	name := c.Name(t.Name)
	found, err := c.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		if err := c.create(ctx, name, t); err != nil {
			return nil, err
		}
		if found, err = c.appear(ctx, name); err != nil {
			return nil, err
		}
	}
	if n := len(found.Partitions); n != t.Partitions {
		return nil, fmt.Errorf("kafka: topic %s has %d partitions, wanted %d: messages of one user would be in several partitions and out "+
			"of order; delete it when it is empty (kafka-topics.sh --delete --topic %s) and start again, or set another topic-prefix=",
			name, n, t.Partitions, name)
	}
	return c.weaknesses(ctx, name, found.Partitions.NumReplicas())
}

// describe returns nil when there is no such topic.
func (c *Cluster) describe(ctx context.Context, name string) (*kadm.TopicDetail, error) {
	all, err := c.admin.ListTopics(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("kafka: look up topic %s: %w", name, err)
	}
	t, ok := all[name]
	if !ok || errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
		return nil, nil
	}
	if t.Err != nil {
		return nil, fmt.Errorf("kafka: look up topic %s: %w", name, t.Err)
	}
	return &t, nil
}

// appear waits until a topic that was created is known to the brokers.
func (c *Cluster) appear(ctx context.Context, name string) (*kadm.TopicDetail, error) {
	for {
		t, err := c.describe(ctx, name)
		if err != nil || t != nil && len(t.Partitions) > 0 {
			return t, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("kafka: topic %s was created but no broker knows it yet: %w", name, ctx.Err())
		}
	}
}

func (c *Cluster) create(ctx context.Context, name string, t Topic) error {
	brokers, err := c.admin.BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("kafka: list the brokers: %w", err)
	}
	replicas := min(safeReplicas, len(brokers.Brokers))
	if c.cfg.replicas > 0 {
		replicas = c.cfg.replicas
	}
	settings := map[string]*string{}
	if replicas >= safeReplicas {
		settings["min.insync.replicas"] = kadm.StringPtr(strconv.Itoa(safeInSync))
	}
	if t.Retention > 0 {
		settings["retention.ms"] = kadm.StringPtr(strconv.FormatInt(t.Retention.Milliseconds(), 10))
	}
	_, err = c.admin.CreateTopic(ctx, int32(t.Partitions), int16(replicas), settings, name)
	switch {
	case err == nil, errors.Is(err, kerr.TopicAlreadyExists):
		return nil
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return fmt.Errorf("kafka: topic %s cannot have %d replicas, there are %d brokers; set replicas=%d or start more",
			name, replicas, len(brokers.Brokers), len(brokers.Brokers))
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("kafka: topic %s is missing and user %s may not create it; grant CREATE, or create it with %d partitions",
			name, cmp.Or(c.cfg.user, "(none)"), t.Partitions)
	}
	return fmt.Errorf("kafka: create topic %s: %w", name, err)
}

// weaknesses says what is not promised with this few replicas.
func (c *Cluster) weaknesses(ctx context.Context, name string, replicas int) (warnings []string, err error) {
	inSync := 1
	all, err := c.admin.DescribeTopicConfigs(ctx, name)
	if err == nil && len(all) == 1 {
		err = all[0].Err
	}
	if err != nil || len(all) != 1 {
		return []string{fmt.Sprintf("topic %s: min.insync.replicas cannot be read (%v), so nothing is promised about losing a broker", name, err)}, nil
	}
	unclean := false
	for _, s := range all[0].Configs {
		switch s.Key {
		case "min.insync.replicas":
			inSync, _ = strconv.Atoi(s.MaybeValue())
		case "unclean.leader.election.enable":
			unclean = s.MaybeValue() == "true"
		}
	}
	if replicas < safeReplicas {
		warnings = append(warnings, fmt.Sprintf("topic %s has %d replicas of each partition, not %d: losing a broker stops it or loses "+
			"messages that consumers have not read; give the cluster three brokers and the topic three replicas", name, replicas, safeReplicas))
	}
	if inSync < safeInSync {
		warnings = append(warnings, fmt.Sprintf("topic %s has min.insync.replicas=%d: a message is acknowledged with one copy and lost with "+
			"that broker; set min.insync.replicas=%d", name, inSync, safeInSync))
	} else if inSync >= replicas && replicas > 1 {
		warnings = append(warnings, fmt.Sprintf("topic %s has %d replicas and min.insync.replicas=%d: one broker away stops the relay "+
			"until it is back; set min.insync.replicas=%d or add a replica", name, replicas, inSync, max(1, replicas-1)))
	}
	if unclean {
		warnings = append(warnings, fmt.Sprintf("topic %s has unclean.leader.election.enable=true: acknowledged messages may be lost; set it to false", name))
	}
	return warnings, nil
}
