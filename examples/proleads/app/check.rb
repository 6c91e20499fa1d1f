# The container's health check.
require "net/http"
answer = Net::HTTP.start("127.0.0.1", 9292, open_timeout: 3, read_timeout: 3) { |http| http.get("/healthz") }
abort "#{answer.code} #{answer.body}" unless answer.code == "200"
