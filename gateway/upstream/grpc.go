package upstream

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"penstock/errs"
)

// rpc is a unary method. A gRPC call is one HTTP/2 exchange whose bodies are framed and whose end is in the trailers, so it goes
// the way of all calls: the same pools, tries and outcomes.
type rpc struct {
	in, out protoreflect.MessageDescriptor
	types   *dynamicpb.Types
}

const grpcUnavailable = "14"

func readMethod(file, method string) (*rpc, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("descriptors: %s is no FileDescriptorSet", file)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %s: %w (make it with --include_imports)", file, err)
	}
	service, name, ok := strings.Cut(method, "/")
	if !ok {
		return nil, fmt.Errorf("method is %q, not a service and a method", method)
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("method: the descriptors have no service %s", service)
	}
	s, ok := found.(protoreflect.ServiceDescriptor)
	if !ok || s.Methods().ByName(protoreflect.Name(name)) == nil {
		return nil, fmt.Errorf("method: the descriptors have no method %s", method)
	}
	m := s.Methods().ByName(protoreflect.Name(name))
	if m.IsStreamingClient() || m.IsStreamingServer() {
		return nil, fmt.Errorf("method: %s streams; only unary methods are called", method)
	}
	return &rpc{m.Input(), m.Output(), dynamicpb.NewTypes(files)}, nil
}

// message makes the framed message of the caller's JSON, or without a body of the path's and the query's values.
func (j *job) message() error {
	text := j.body
	if len(text) > 0 && !is(j.in.Header.Get("Content-Type"), "json") {
		return errs.New(errs.UnsupportedMedia, "send the body as application/json")
	}
	if len(text) == 0 {
		members := map[string]any{}
		for name, v := range j.in.URL.Query() {
			members[name] = only(v)
		}
		_, path := j.route.Route.method()
		for _, p := range wildcards(path) {
			members[p] = j.in.PathValue(p)
		}
		text, _ = json.Marshal(members) // strings only
	}
	m := dynamicpb.NewMessage(j.route.method.in)
	if err := (protojson.UnmarshalOptions{Resolver: j.route.method.types, RecursionLimit: maxDepth}).Unmarshal(text, m); err != nil {
		return invalid(errors.New(strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")))
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		return invalid(errors.New("a required field is missing"))
	}
	j.body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(wire))), wire...)
	return nil
}

// only is the one value of a parameter, or all of them.
func only(v []string) any {
	if len(v) == 1 {
		return v[0]
	}
	return v
}

// reply turns the answer of a method into JSON, or into a problem.
func (j *job) reply(a *http.Response) error {
	if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/grpc") {
		return j.lostAnswer(fmt.Errorf("the answer is %s, %q, and not of a gRPC method", a.Status, a.Header.Get("Content-Type")))
	}
	body, err := j.whole(a)
	if err != nil {
		return j.lostAnswer(err)
	}
	trailer := a.Header
	if trailer.Get("Grpc-Status") == "" {
		c, ok := a.Body.(*counted)
		if !ok || c.whole.Trailer.Get("Grpc-Status") == "" {
			return j.lostAnswer(errors.New("the answer has no grpc-status"))
		}
		trailer = c.whole.Trailer
	}
	if status := trailer.Get("Grpc-Status"); status != "0" {
		return j.refused(status, trailer.Get("Grpc-Message"))
	}
	if len(body) < 5 || body[0] != 0 || uint64(binary.BigEndian.Uint32(body[1:5])) != uint64(len(body)-5) {
		return j.lostAnswer(errors.New("the answer is not one plain message"))
	}
	m := dynamicpb.NewMessage(j.route.method.out)
	if err := (proto.UnmarshalOptions{Resolver: j.route.method.types, RecursionLimit: maxDepth}).Unmarshal(body[5:], m); err != nil {
		return j.lostAnswer(err)
	}
	text, err := protojson.MarshalOptions{Resolver: j.route.method.types, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return j.lostAnswer(err)
	}
	var plain bytes.Buffer
	if err := json.Compact(&plain, text); err != nil { // protojson varies its spaces on purpose
		return j.lostAnswer(err)
	}
	for name := range a.Header {
		if strings.HasPrefix(name, "Grpc-") {
			delete(a.Header, name)
		}
	}
	replace(a, plain.Bytes(), mediaTypes["json"])
	return nil
}

// refused gives a gRPC status a type of ours. What the method says is shown where it is about the caller's request. Statuses that
// libraries give by themselves do not tell whether the method was executed.
func (j *job) refused(status, message string) error {
	n, err := strconv.Atoi(status)
	codes := map[int]errs.Code{3: errs.Invalid, 5: errs.NotFound, 6: errs.Conflict, 7: errs.Forbidden, 9: errs.Conflict, 10: errs.Conflict, 11: errs.Invalid}
	code, about := codes[n]
	switch {
	case err == nil && about:
	case err == nil && (n == 8 || n == 12 || n == 16): // exhausted, unimplemented, our own credentials
		code = errs.UpstreamFailed
	case n == 4 && j.safe:
		return errs.New(errs.UpstreamTimeout, "the service behind this call did not answer in time")
	default:
		return j.lostAnswer(fmt.Errorf("grpc-status %s: %s", status, message))
	}
	detail := "the service behind this call refused it"
	if plain, err := url.PathUnescape(message); err == nil && about && plain != "" {
		detail = strings.ToValidUTF8(plain[:min(len(plain), 300)], "")
	}
	e := errs.New(code, "%s", detail)
	e.Extra = map[string]any{"grpcStatus": n}
	return e
}
