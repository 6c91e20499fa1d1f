require_relative "app"
run FantasyReality
