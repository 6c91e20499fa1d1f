# A small lead tracker: leads are kept in MongoDB, visits are counted in Redis.
require "json"
require "uri"

# Debian's MongoDB driver is older than its Ruby, and calls what Ruby 3 took away.
%i[decode unescape].each do |name|
  URI.define_singleton_method(name) { |text| URI::DEFAULT_PARSER.unescape(text) } unless URI.respond_to?(name)
end

require "sinatra/base"
require "mongo"
require "redis"

class Leads < Sinatra::Base
  set :logging, true
  set :show_exceptions, false
  set :host_authorization, permitted_hosts: []

  VERSION = File.read(File.join(__dir__, "VERSION")).strip
  STARTED = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  Mongo::Logger.logger.level = Logger::WARN
  MONGO = Mongo::Client.new(ENV.fetch("MONGODB_URL"), server_selection_timeout: 5)
  REDIS = Redis.new(url: ENV.fetch("REDIS_URL"), timeout: 2)

  before { headers "X-Version" => VERSION }

  get "/" do
    # A release named "rots..." is healthy and passes its tests, but fails its users when it is live.
    halt 500, "rotten\n" if VERSION.start_with?("rots") && REDIS.get("rotten") == "yes"
    visits = REDIS.incr("visits")
    "#{VERSION}: #{visits} visits, #{MONGO[:leads].find.count} leads, from #{Socket.gethostname}\n"
  end

  post "/leads" do
    lead = JSON.parse(request.body.read)
    id = MONGO[:leads].insert_one(name: lead.fetch("name"), at: Time.now.utc).inserted_ids.first
    status 201
    "#{id}\n"
  end

  get "/leads" do
    content_type :json
    MONGO[:leads].find.map { |lead| lead["name"] }.to_json
  end

  get "/healthz" do
    halt 500, "broken as asked\n" if VERSION.start_with?("broken")
    REDIS.ping
    "ok\n"
  end

  error do
    status 500
    "#{env["sinatra.error"].class}\n"
  end
end
