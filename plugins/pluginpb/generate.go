// Package pluginpb is the wire form of the provider contract, generated from plugin.proto.
package pluginpb

//go:generate go build -o .bin/ google.golang.org/protobuf/cmd/protoc-gen-go
//go:generate sh -c "GOBIN=$PWD/.bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2"
//go:generate protoc --plugin=.bin/protoc-gen-go --plugin=.bin/protoc-gen-go-grpc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative plugin.proto
//go:generate rm -r .bin
