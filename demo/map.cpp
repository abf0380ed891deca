// SVG by hand: a map on the left, a panel with figures and the legend on the right.
#include "map.hpp"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "voronoi.hpp"

namespace vectorshard::demo {
namespace {

constexpr double kMapWidth = 900, kHeightMin = 620, kHeightMax = 1040, kMargin = 24, kTop = 84, kPanel = 330,
                 kLegendHeight = 170;
constexpr const char *kTints[] = {"#dbe9f4", "#e8f0dc", "#f6e8d8", "#ece3f2", "#dff0ec",
                                  "#f7e3e3", "#f3efd6", "#e2e6ee", "#e6efe6", "#f0e6dc"};
constexpr const char *kInk = "#22303c", *kMuted = "#6b7a86", *kHit = "#1a9850", *kMiss = "#d7301f",
                     *kAhead = "#e08214";

__attribute__((format(printf, 1, 2))) std::string text(const char *format, ...) {
  char buffer[700];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

std::string escaped(const std::string &plain) {
  std::string out;
  for (const char c : plain) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

struct Box {
  Point south_west, north_east;
  /// Width over height on the ground.
  double shape() const {
    return (north_east.lon - south_west.lon) * std::cos((south_west.lat + north_east.lat) / 2 * M_PI / 180) /
           (north_east.lat - south_west.lat);
  }
};

/// The box that leaves out `share` of the points at each side, somewhat widened.
Box box_of(const std::vector<Point> &points, double share) {
  std::vector<double> lats, lons;
  for (const Point &p : points) {
    lats.push_back(p.lat);
    lons.push_back(p.lon);
  }
  return {{quantile(lats, share), quantile(lons, share)}, {quantile(lats, 1 - share), quantile(lons, 1 - share)}};
}

Box widened(Box box, double share) {
  const double lat = (box.north_east.lat - box.south_west.lat) * share + 0.001;
  const double lon = (box.north_east.lon - box.south_west.lon) * share + 0.001;
  return {{box.south_west.lat - lat, box.south_west.lon - lon}, {box.north_east.lat + lat, box.north_east.lon + lon}};
}

/// What the clients saw, without the outermost stragglers, and all sites.
Box whole(const Plan &plan, const std::vector<Point> &nodes) {
  std::vector<Point> points;
  for (const ClientPlan &client : plan.clients)
    for (const Step &step : client.steps) points.push_back(step.report.at);
  Box box = box_of(points, 0.005);
  for (const Point &p : nodes) {
    box.south_west = {std::min(box.south_west.lat, p.lat), std::min(box.south_west.lon, p.lon)};
    box.north_east = {std::max(box.north_east.lat, p.lat), std::max(box.north_east.lon, p.lon)};
  }
  return widened(box, 0.05);
}

/// From degrees to pixels: a box of the ground in the middle of a rectangle of `size`.
class Frame {
 public:
  Frame(const Box &box, Pixel size) : box_(box), size_(size) {
    shrink_ = std::cos((box.south_west.lat + box.north_east.lat) / 2 * M_PI / 180);
    const double width = (box.north_east.lon - box.south_west.lon) * shrink_;
    const double height = box.north_east.lat - box.south_west.lat;
    scale_ = std::min(size.x / width, size.y / height);
    offset_ = {(size.x - width * scale_) / 2, (size.y - height * scale_) / 2};
  }
  Pixel at(Point p) const {
    return {offset_.x + (p.lon - box_.south_west.lon) * shrink_ * scale_,
            size_.y - offset_.y - (p.lat - box_.south_west.lat) * scale_};
  }
  Pixel size() const { return size_; }
  double pixels_per_m() const { return scale_ / kMetersPerDegree; }

 private:
  Box box_;
  Pixel size_, offset_;
  double shrink_ = 1, scale_ = 1;
};

std::string areas(const Frame &frame, const std::vector<Point> &nodes) {
  std::vector<Pixel> sites;
  for (const Point &p : nodes) sites.push_back(frame.at(p));
  const auto cells = voronoi(sites, frame.size());
  std::string out = "<g stroke=\"#ffffff\" stroke-width=\"2.5\" stroke-linejoin=\"round\">\n";
  for (size_t i = 0; i < cells.size(); i++) {
    out += text("<polygon fill=\"%s\" points=\"", kTints[i % std::size(kTints)]);
    for (const Pixel &p : cells[i]) out += text("%.1f,%.1f ", p.x, p.y);
    out += "\"/>\n";
  }
  return out + "</g>\n";
}

std::string tracks(const Frame &frame, const Plan &plan) {
  std::string out = "<g fill=\"none\" stroke=\"#35506b\" stroke-width=\"0.9\" stroke-opacity=\"0.22\" "
                    "stroke-linejoin=\"round\">\n";
  for (const ClientPlan &client : plan.clients) {
    const Step *before = nullptr;
    std::string path;
    for (const Step &step : client.steps) {
      if (step.kind != Step::Kind::report) continue;
      const bool joined = before && step.at_s - before->at_s <= kSessionGapS;
      const Pixel p = frame.at(step.report.at);
      path += text("%c%.1f %.1f", joined ? 'L' : 'M', p.x, p.y);
      before = &step;
    }
    out += "<path d=\"" + path + "\"/>\n";
  }
  return out + "</g>\n";
}

/// A bowed line from where the client was to the node that got a copy, thinner towards the client.
std::string copies_ahead(const Frame &frame, const std::vector<Point> &nodes, const std::vector<CopyAhead> &ahead) {
  const double opacity = std::clamp(60.0 / static_cast<double>(ahead.size() + 1), 0.06, 0.35);
  std::string out = text("<g fill=\"none\" stroke=\"%s\" stroke-width=\"1.1\" stroke-opacity=\"%.2f\">\n", kAhead, opacity);
  std::string dots = text("<g fill=\"%s\" fill-opacity=\"0.55\">\n", kAhead);
  for (const CopyAhead &copy : ahead) {
    const Pixel a = frame.at(copy.client_at), b = frame.at(nodes[copy.node]);
    const Pixel bow = {(a.x + b.x) / 2 - (b.y - a.y) * 0.12, (a.y + b.y) / 2 + (b.x - a.x) * 0.12};
    out += text("<path d=\"M%.1f %.1fQ%.1f %.1f %.1f %.1f\"/>\n", a.x, a.y, bow.x, bow.y, b.x, b.y);
    dots += text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.3\"/>\n", a.x, a.y);
  }
  return out + "</g>\n" + dots + "</g>\n";
}

std::string arrivals(const Frame &frame, const std::vector<Arrival> &all) {
  std::string out = "<g stroke=\"#ffffff\" stroke-width=\"0.7\">\n";
  for (const bool hit : {true, false})
    for (const Arrival &a : all)
      if (a.hit == hit) {
        const Pixel p = frame.at(a.at);
        out += text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.4\" fill=\"%s\"/>\n", p.x, p.y, hit ? kHit : kMiss);
      }
  return out + "</g>\n";
}

std::string label(double x, double y, double size, const char *fill, const char *more, const std::string &what) {
  return text("<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" fill=\"%s\" %s>", x, y, size, fill, more) +
         escaped(what) + "</text>\n";
}

std::string site_marks(const Frame &frame, const std::vector<Point> &nodes, Point core) {
  std::string out;
  for (size_t i = 0; i < nodes.size(); i++) {
    const Pixel p = frame.at(nodes[i]);
    out += text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"11\" fill=\"%s\" stroke=\"#ffffff\" stroke-width=\"2\"/>\n", p.x, p.y, kInk);
    out += label(p.x, p.y + 4.2, 12, "#ffffff", "text-anchor=\"middle\" font-weight=\"bold\"", std::to_string(i + 1));
  }
  const Pixel c = frame.at(core);
  out += text("<rect x=\"%.1f\" y=\"%.1f\" width=\"20\" height=\"20\" rx=\"3\" fill=\"#5e3c99\" stroke=\"#ffffff\" "
              "stroke-width=\"2\" transform=\"rotate(45 %.1f %.1f)\"/>\n", c.x - 10, c.y - 10, c.x, c.y);
  return out + label(c.x, c.y + 4, 11, "#ffffff", "text-anchor=\"middle\" font-weight=\"bold\"", "C");
}

std::string scale_bar(const Frame &frame) {
  double km = 10;
  for (const double candidate : {1000.0, 500.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5})
    if (candidate * 1000 * frame.pixels_per_m() < 220) {
      km = candidate;
      break;
    }
  const double length = km * 1000 * frame.pixels_per_m(), y = frame.size().y - 20;
  return text("<rect x=\"14\" y=\"%.1f\" width=\"%.1f\" height=\"36\" rx=\"4\" fill=\"#ffffff\" fill-opacity=\"0.85\"/>\n",
              y - 24, length + 22) +
         text("<path d=\"M25 %.1fv6h%.1fv-6\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"/>\n", y - 2, length, kInk) +
         label(25 + length / 2, y - 6, 12, kInk, "text-anchor=\"middle\"", text("%g km", km));
}

/// One bar of the comparison.
std::string bar(double y, const char *name, double share, const char *fill) {
  constexpr double kWidth = kPanel - 8;
  return label(0, y, 13, kInk, "", name) +
         label(kWidth, y, 15, kInk, "text-anchor=\"end\" font-weight=\"bold\"", text("%.1f %%", share * 100)) +
         text("<rect x=\"0\" y=\"%.1f\" width=\"%.1f\" height=\"10\" rx=\"5\" fill=\"#e3e7ea\"/>\n", y + 7, kWidth) +
         text("<rect x=\"0\" y=\"%.1f\" width=\"%.1f\" height=\"10\" rx=\"5\" fill=\"%s\"/>\n", y + 7,
              std::max(4.0, kWidth * share), fill);
}

std::string figures(double &y, const Summary &s) {
  const auto hits = access_ms(s.predicted, Which::hits), misses = access_ms(s.predicted, Which::misses);
  const std::pair<const char *, std::string> rows[] = {
      {"arrivals", text("%zu", s.predicted.arrivals.size())},
      {"surplus copies per active client", text("%.2f", s.predicted.surplus())},
      {"first access, hit: p50 / p99", text("%.1f / %.1f ms", quantile(hits, 0.5), quantile(hits, 0.99))},
      {"first access, miss: p50 / p99", text("%.1f / %.1f ms", quantile(misses, 0.5), quantile(misses, 0.99))},
      {"sent to the store", text("%lld", (long long)s.predicted.sent_to_store)},
      {"back before needed", text("%lld of %lld", (long long)s.predicted.back_in_time, (long long)s.predicted.needed_from_store)},
      {"rows lost", text("%zu", s.verdict.rows_lost)},
      {"copies diverged", text("%zu of %zu", s.verdict.diverged, s.verdict.copies)}};
  std::string out;
  for (const auto &[name, value] : rows) {
    out += label(0, y, 13, kMuted, "", name);
    out += label(kPanel - 8, y, 13, kInk, "text-anchor=\"end\" font-weight=\"bold\"", value);
    out += text("<path d=\"M0 %.1fH%.0f\" stroke=\"#e3e7ea\"/>\n", y + 8, kPanel - 8);
    y += 26;
  }
  return out;
}

std::string legend(double y) {
  std::string out = label(0, y, 13, kInk, "font-weight=\"bold\"", "On the map");
  auto row = [&](const std::string &mark, const char *what) {
    y += 25;
    out += text("<g transform=\"translate(12 %.1f)\">", y - 4) + mark + "</g>\n" + label(34, y, 13, kInk, "", what);
  };
  row(text("<circle r=\"9\" fill=\"%s\"/>", kInk), "edge node at a clustered site; tint: its area");
  row("<rect x=\"-7\" y=\"-7\" width=\"14\" height=\"14\" rx=\"2\" fill=\"#5e3c99\" transform=\"rotate(45)\"/>",
      "core node: home of all clients");
  row("<path d=\"M-10 4L-2 -4L4 3L10 -4\" fill=\"none\" stroke=\"#35506b\" stroke-opacity=\"0.6\" stroke-width=\"1.4\"/>",
      "tracks of the clients");
  row(text("<path d=\"M-9 4Q0 -7 10 2\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"/><circle cx=\"-9\" cy=\"4\" r=\"2.2\" "
           "fill=\"%s\"/>", kAhead, kAhead), "copy made ahead: from where the client was");
  row(text("<circle r=\"5\" fill=\"%s\"/>", kHit), "arrival: rows were there, and current");
  row(text("<circle r=\"5\" fill=\"%s\"/>", kMiss), "arrival: rows were not there in time");
  return out;
}

/// The map as seen through a frame, at (x, y) of the picture.
std::string view(const Frame &frame, const char *id, double x, double y, const Plan &plan, const std::vector<Point> &nodes,
                 Point core, const Outcome &outcome) {
  std::string out = text("<clipPath id=\"%s\"><rect width=\"%.1f\" height=\"%.1f\" rx=\"8\"/></clipPath>\n", id,
                         frame.size().x, frame.size().y);
  out += text("<g transform=\"translate(%.1f %.1f)\"><g clip-path=\"url(#%s)\">\n", x, y, id);
  return out + areas(frame, nodes) + tracks(frame, plan) + copies_ahead(frame, nodes, outcome.ahead) +
         arrivals(frame, outcome.arrivals) + site_marks(frame, nodes, core) + scale_bar(frame) + "</g></g>\n";
}

/// Where most arrivals are, larger, below the legend; nothing if that would not show more than the map.
std::string close_up(double x, double y, double height, const Frame &map, const Plan &plan, const std::vector<Point> &nodes,
                     Point core, const Outcome &outcome) {
  std::vector<Point> points;
  for (const Arrival &a : outcome.arrivals) points.push_back(a.at);
  if (points.empty() || height < 260) return "";
  const Frame frame(widened(box_of(points, 0.14), 0.12), {kPanel - 8, std::min(height, 420.0)});
  if (frame.pixels_per_m() < 1.3 * map.pixels_per_m()) return "";
  return label(x, y - 10, 13, kInk, "font-weight=\"bold\"", "Where most arrivals are, closer") +
         view(frame, "close", x, y, plan, nodes, core, outcome);
}

}  // namespace

std::string draw_map(const Plan &plan, const std::vector<Point> &nodes, Point core, const Summary &summary) {
  const Box box = whole(plan, nodes);
  const Frame frame(box, {kMapWidth, std::clamp(kMapWidth / box.shape(), kHeightMin, kHeightMax)});
  const double width = kMapWidth + kPanel + 3 * kMargin, height = frame.size().y + kTop + kMargin;
  std::string out = text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
                         "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n", width, height, width, height);
  out += text("<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fdfdfb\"/>\n", width, height);
  out += label(kMargin, 40, 24, kInk, "font-weight=\"bold\"", "A client's rows are on the next node before the client is");
  out += label(kMargin, 64, 13.5, kMuted, "",
               text("%zu clients of ", summary.clients) + summary.source + ", " + summary.window);
  out += view(frame, "map", kMargin, kTop, plan, nodes, core, summary.predicted);
  const double panel_x = kMapWidth + 2 * kMargin, panel_y = kTop + 14;
  out += text("<g transform=\"translate(%.1f %.1f)\">\n", panel_x, panel_y);
  out += label(0, 0, 15, kInk, "font-weight=\"bold\"", "Rows there and current at arrival");
  out += bar(30, "with prediction", summary.predicted.hit_ratio(), kHit) +
         bar(72, "prediction off", summary.reactive.hit_ratio(), "#8c9aa5");
  double y = 126;
  out += figures(y, summary);
  out += legend(y + 18) + "</g>\n";
  const double below = panel_y + y + 18 + kLegendHeight + 30;
  return out + close_up(panel_x, below, height - kMargin - below, frame, plan, nodes, core, summary.predicted) + "</svg>\n";
}

}  // namespace vectorshard::demo
