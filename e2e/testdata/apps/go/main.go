// Command app is the site in Go.
package main

import (
	"context"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	answer := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", "go")
		_, _ = w.Write([]byte("go\n"))
	}
	http.HandleFunc("/", answer)
	server := &http.Server{Addr: ":9292"}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	done := make(chan struct{})
	go func() {
		<-stop.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		close(done)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-done
}
