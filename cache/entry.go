package cache

import (
	"encoding/binary"
	"encoding/json"
	"time"
)

// entry is what a store keeps under a key: a value, or the knowledge that there is none, and how long either is to be believed.
//
//	byte 0     1 = value, 2 = nothing there
//	bytes 1-8  soft: milliseconds since 1970, big endian; from then on it is stale
//	bytes 9-16 hard: from then on it is nothing
//	the rest   the encoded value
type entry struct {
	soft, hard time.Time
	nothing    bool
	value      []byte
}

const header = 17

func (e entry) marshal() []byte {
	b := make([]byte, header, header+len(e.value))
	if b[0] = 1; e.nothing {
		b[0] = 2
	}
	binary.BigEndian.PutUint64(b[1:], uint64(e.soft.UnixMilli()))
	binary.BigEndian.PutUint64(b[9:], uint64(e.hard.UnixMilli()))
	return append(b, e.value...)
}

// parse returns false for what is no entry: nothing, or the bytes of somebody else.
func parse(b []byte) (entry, bool) {
	if len(b) < header || b[0] < 1 || b[0] > 2 {
		return entry{}, false
	}
	at := func(i int) time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(b[i:]))) }
	return entry{soft: at(1), hard: at(9), nothing: b[0] == 2, value: b[header:]}, true
}

// Codec turns values into bytes and back. Decode gets what Encode made, perhaps of an older release: an error makes it a miss.
type Codec[V any] interface {
	Encode(V) ([]byte, error)
	Decode([]byte) (V, error)
}

// JSON is the codec that is used when none is given.
type JSON[V any] struct{}

// Encode implements Codec.
func (JSON[V]) Encode(v V) ([]byte, error) { return json.Marshal(v) }

// Decode implements Codec.
func (JSON[V]) Decode(b []byte) (v V, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}
