# Fantasy Reality: friends pick contestants of a television show, and see who was right.
require "sinatra/base"
require_relative "database"

class FantasyReality < Sinatra::Base
  set :logging, true
  set :show_exceptions, false
  set :host_authorization, permitted_hosts: []

  VERSION = File.read(File.join(__dir__, "VERSION")).strip
  raise "a mistake in #{VERSION}, as asked" if VERSION.start_with?("broken") # to try a refusal with
  DATABASE = Database.new(ENV.fetch("DATABASE"))

  before { headers "X-Version" => VERSION }

  get "/" do
    "#{VERSION}: #{DATABASE.count} picks\n"
  end

  # The client gives a pick its id, so that asking twice is harmless.
  post "/picks/:id" do
    DATABASE.pick(params["id"], params.fetch("contestant", "nobody"))
    status 201
    "#{params["id"]}\n"
  end

  get "/picks" do
    DATABASE.ids.map { |id| "#{id}\n" }.join
  end

  get "/healthz" do
    halt 500, "sick as asked\n" if VERSION.start_with?("sick") # another way to be refused
    DATABASE.count
    "ok\n"
  end

  error do
    status 500
    "#{env["sinatra.error"].class}\n"
  end
end
