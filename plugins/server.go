package plugins

import (
	"context"
	"encoding/json"
	"os"
	"sync"

	"google.golang.org/grpc"

	"github.com/cloudship/cloudship/plugins/pluginpb"
	"github.com/cloudship/cloudship/resource"
)

// server answers for a provider in the plugin's process.
type server struct {
	pluginpb.UnimplementedProviderServer
	provider resource.Provider
}

// answer makes a document or an error of what a provider said.
func answer(v any, err error) (*pluginpb.Answer, error) {
	if err != nil {
		return &pluginpb.Answer{Errors: []*pluginpb.Error{errorToWire(err)}}, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &pluginpb.Answer{Json: b}, nil
}

// misread is the answer to a document that the plugin does not understand.
func misread(err error) error {
	return &resource.Error{Kind: resource.Invalid, Message: err.Error(),
		Hint: "the plugin and cloudship are of different versions: bring both up to date"}
}

func (s *server) Schema(ctx context.Context, _ *pluginpb.Empty) (*pluginpb.Answer, error) {
	return answer(s.provider.Schema(ctx))
}

func (s *server) Configure(ctx context.Context, in *pluginpb.Settings) (*pluginpb.Answer, error) {
	var config resource.Config
	if err := decode(in.GetConfig(), &config); err != nil {
		return answer(nil, misread(err))
	}
	for name, value := range in.GetEnvironment() {
		if err := os.Setenv(name, value); err != nil {
			return answer(nil, err)
		}
	}
	return answer(nil, s.provider.Configure(ctx, config))
}

func (s *server) Catalog(ctx context.Context, _ *pluginpb.Empty) (*pluginpb.Answer, error) {
	return answer(s.provider.Catalog(ctx))
}

func (s *server) Resolve(ctx context.Context, in *pluginpb.Document) (*pluginpb.Answer, error) {
	var wants []resource.Wish
	if err := decode(in.GetJson(), &wants); err != nil {
		return answer(nil, misread(err))
	}
	return answer(s.provider.Resolve(ctx, wants))
}

func (s *server) Preflight(ctx context.Context, in *pluginpb.Document) (*pluginpb.Answer, error) {
	var forecast resource.Forecast
	if err := decode(in.GetJson(), &forecast); err != nil {
		return answer(nil, misread(err))
	}
	out := &pluginpb.Answer{}
	for _, err := range s.provider.Preflight(ctx, forecast) {
		out.Errors = append(out.Errors, errorToWire(err))
	}
	return out, nil
}

func (s *server) List(ctx context.Context, in *pluginpb.Document) (*pluginpb.Answer, error) {
	var q resource.Query
	if err := decode(in.GetJson(), &q); err != nil {
		return answer(nil, misread(err))
	}
	return answer(s.provider.List(ctx, q))
}

func (s *server) Read(ctx context.Context, in *pluginpb.Inquiry) (*pluginpb.Answer, error) {
	var q resource.Query
	var have resource.Found
	if err := decode(in.GetQuery(), &q); err != nil {
		return answer(nil, misread(err))
	}
	if err := decode(in.GetHave(), &have); err != nil {
		return answer(nil, misread(err))
	}
	return answer(s.provider.Read(ctx, q, have))
}

func (s *server) Retire(ctx context.Context, in *pluginpb.Document) (*pluginpb.Answer, error) {
	var stack resource.StackID
	if err := decode(in.GetJson(), &stack); err != nil {
		return answer(nil, misread(err))
	}
	return answer(nil, s.provider.Retire(ctx, stack))
}

type events = grpc.ServerStreamingServer[pluginpb.Event]

func (s *server) Create(in *pluginpb.Document, out events) error {
	return change(in, out, s.provider.Create)
}

func (s *server) Update(in *pluginpb.Document, out events) error {
	return change(in, out, s.provider.Update)
}

func (s *server) Delete(in *pluginpb.Document, out events) error {
	return change(in, out, s.provider.Delete)
}

// change makes one changing call and streams its progress. A line of progress that cannot be sent
// is dropped: the call goes on.
func change(in *pluginpb.Document, out events, do func(context.Context, resource.Call) []resource.Result) error {
	var c resource.Call
	if err := decode(in.GetJson(), &c); err != nil {
		return refuse(in, out, misread(err))
	}
	var sending sync.Mutex
	c.Progress = func(a resource.Address, line string) {
		sending.Lock()
		defer sending.Unlock()
		_ = out.Send(&pluginpb.Event{Event: &pluginpb.Event_Progress{
			Progress: &pluginpb.Progress{Address: a.String(), Line: text(line)}}})
	}
	results, err := resultsToWire(do(out.Context(), c))
	if err != nil {
		return err
	}
	sending.Lock()
	defer sending.Unlock()
	return out.Send(&pluginpb.Event{Event: &pluginpb.Event_Results{Results: results}})
}

// refuse answers every item of a call that was not understood. Only what is needed to answer is
// read of it, and leniently.
func refuse(in *pluginpb.Document, out events, why error) error {
	var c struct {
		Items []struct {
			Mark struct {
				Address string `json:"address"`
			} `json:"mark"`
		} `json:"items"`
	}
	if err := json.Unmarshal(in.GetJson(), &c); err != nil {
		return err
	}
	results := &pluginpb.Results{}
	for _, item := range c.Items {
		results.Results = append(results.Results, &pluginpb.Result{Address: item.Mark.Address, Error: errorToWire(why)})
	}
	return out.Send(&pluginpb.Event{Event: &pluginpb.Event_Results{Results: results}})
}
