/*
 * The C face of libtorch. The one C++ file of Tocsin: everything that can
 * throw is called through guard(), which turns an exception into a struct
 * err, so none crosses into C.
 *
 * A handle holds the module as it was loaded, whose parameters are trained,
 * and a frozen copy of it (parameters as constants, everything inlined) that
 * steps; training drops the copy. Nothing is shared between handles.
 */
extern "C" {
#include "../base/file.h"
#include "blas.h"
#include "causal.h"
#include "model.h"
#include "model_file.h"
}

#include <malloc.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/script.h>
#include <torch/torch.h>

namespace
{

using torch::Tensor;
using torch::jit::IValue;

/* Rows of a batch that are stepped together: their tensors fit the cache. */
constexpr size_t CHUNK = 1024;
/* Rows of the step that checks a module's shapes. */
constexpr int64_t PROBE = 64;

constexpr int64_t LAG_MAX = 512;
constexpr int64_t SEASON_MAX = 7 * 86400;
constexpr int64_t STATE_MAX = 1 << 20;

std::mutex seeding; /* torch has one generator for the whole process */

} // namespace

struct model {
    torch::jit::Module module;
    std::unique_ptr<torch::jit::Module> frozen;
    std::unique_ptr<torch::optim::AdamW> optimizer;
    std::vector<std::string> names; /* what the shape's pointers point at */
    model_shape shape;
    bool native; /* the module's statistics are those of causal.h */
    /* For them, of the columns that were stepped last. */
    std::vector<float> floor, statistics;
};

namespace
{

/* One line of what libtorch says: the first, or the module's own words. */
int model_failed(err *err, const char *what, const char *why)
{
    std::istringstream lines(why);
    std::string line, first, last;

    while (std::getline(lines, line)) {
        if (first.empty()) {
            first = line;
        }
        if (line.find("Error: ") != std::string::npos) {
            last = line;
        }
    }
    return err_set(err, ERR_MODEL, "%s: %s", what,
                   last.empty() ? first.c_str() : last.c_str());
}

template <typename Body> int guard(err *err, const char *what, Body body)
{
    try {
        return body();
    } catch (const c10::Error &e) {
        return model_failed(err, what, e.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        return err_set(err, ERR_LIMIT, "%s: out of memory", what);
    } catch (const std::exception &e) {
        return model_failed(err, what, e.what());
    } catch (...) {
        return model_failed(err, what, "unknown exception");
    }
}

Tensor view(const float *data, std::vector<int64_t> sizes)
{
    static float nothing; /* a tensor of no elements needs an address */
    float *at = const_cast<float *>(data);

    return torch::from_blob(at != nullptr ? at : &nothing, sizes,
                            torch::kFloat32);
}

unsigned season_width(const model *model, int64_t columns)
{
    unsigned most = model->shape.season_feature_count;

    return columns < most ? (unsigned)columns : most;
}

/* ------------------------------------------------------- the attributes */

IValue attribute(const model *model, const char *name)
{
    TORCH_CHECK(model->module.hasattr(name), "the module has no attribute \"",
                name, "\"");
    return model->module.attr(name);
}

/* The shape points into model->names, which must not move. */
unsigned read_names(model *model, const char *name, size_t most,
                    const char **into)
{
    IValue value = attribute(model, name);
    unsigned count = 0;

    TORCH_CHECK(value.isList(), "attribute \"", name, "\" is no list");
    for (const IValue &item : value.toListRef()) {
        TORCH_CHECK(item.isString(), "attribute \"", name,
                    "\" is no list of strings");
        TORCH_CHECK(count < most, "attribute \"", name, "\" has more than ",
                    most, " names");
        model->names.push_back(item.toStringRef());
        into[count++] = model->names.back().c_str();
    }
    return count;
}

template <typename Number>
unsigned read_numbers(const model *model, const char *name, int64_t most,
                      Number *into)
{
    IValue value = attribute(model, name);
    unsigned count = 0;

    TORCH_CHECK(value.isIntList(), "attribute \"", name,
                "\" is no list of int");
    for (int64_t number : value.toIntVector()) {
        TORCH_CHECK(count < MODEL_NAMES_MAX, "attribute \"", name,
                    "\" has more than ", MODEL_NAMES_MAX, " numbers");
        TORCH_CHECK(number >= 1 && number <= most, "attribute \"", name,
                    "\": ", number, " is not in 1..", most);
        into[count++] = (Number)number;
    }
    return count;
}

void read_attributes(model *model)
{
    model_shape *shape = &model->shape;
    IValue version = attribute(model, "version");
    IValue state = attribute(model, "state");
    unsigned i = 0;

    TORCH_CHECK(version.isString() &&
                    version.toStringRef().size() < sizeof(model->shape.version),
                "attribute \"version\" is no string of at most ",
                sizeof(model->shape.version) - 1, " bytes");
    snprintf(shape->version, sizeof(shape->version), "%s",
             version.toStringRef().c_str());
    TORCH_CHECK(state.isInt() && state.toInt() >= 1 &&
                    state.toInt() <= STATE_MAX,
                "attribute \"state\" is no int in 1..", STATE_MAX);
    shape->state = (unsigned)state.toInt();
    model->names.reserve(2 * MODEL_NAMES_MAX + 2);
    shape->feature_count =
        read_names(model, "features", MODEL_NAMES_MAX, shape->features);
    shape->season_feature_count =
        read_names(model, "season_features", 2, shape->season_features);
    shape->evidence_count =
        read_names(model, "evidence", MODEL_NAMES_MAX, shape->evidence);
    shape->lag_count = read_numbers(model, "lags", LAG_MAX, shape->lags);
    shape->season_count =
        read_numbers(model, "seasons", SEASON_MAX, shape->seasons);
    TORCH_CHECK(shape->feature_count > 0 && shape->evidence_count > 0,
                "attribute \"features\" or \"evidence\" is empty");
    while (i < shape->evidence_count &&
           strncmp(shape->evidence[i], "e:", 2) != 0) {
        i++;
    }
    shape->evidence_rows = i;
}

/* ------------------------------------------------------------- the step */

void expect_shape(const Tensor &tensor, const char *what,
                  std::vector<int64_t> sizes)
{
    TORCH_CHECK(tensor.sizes() == c10::IntArrayRef(sizes) &&
                    tensor.scalar_type() == torch::kFloat32,
                what, " is ", tensor.scalar_type(), tensor.sizes(),
                ", not Float", c10::IntArrayRef(sizes));
}

torch::jit::Module *stepper(model *model)
{
    if (model->frozen == nullptr) {
        torch::jit::Module copy = model->module.deepcopy();

        copy.eval();
        model->frozen = std::make_unique<torch::jit::Module>(
            model->native ? torch::jit::freeze_module(copy, {"step", "judge"})
                          : torch::jit::freeze_module(copy, {"step"}));
    }
    return model->frozen.get();
}

Tensor call_initial(model *model, int64_t batch, int64_t columns)
{
    std::vector<IValue> arguments{batch};

    /* A module that serves one F only may take one argument. */
    if (columns != (int64_t)model->shape.feature_count) {
        arguments.push_back(columns);
    }
    return model->module.get_method("initial")(arguments)
        .toTensor()
        .contiguous();
}

struct outputs {
    Tensor tensors[5]; /* expected, low, high, evidence, state */
};

outputs read_outputs(const IValue &result, const char *method, unsigned count)
{
    outputs out;

    TORCH_CHECK(result.isTuple() &&
                    result.toTupleRef().elements().size() == count,
                method, "() does not return ", count, " tensors");
    for (unsigned i = 0; i < count; i++) {
        const IValue &item = result.toTupleRef().elements()[i];

        TORCH_CHECK(item.isTensor(), method, "() does not return ", count,
                    " tensors");
        out.tensors[i] = item.toTensor().contiguous();
    }
    return out;
}

outputs call_step(model *model, int64_t rows, int64_t columns,
                  const struct model_step &in)
{
    const model_shape &shape = model->shape;
    int64_t lags = shape.lag_count, seasons = shape.season_count;

    return read_outputs(
        stepper(model)->get_method("step")(
            {view(in.x, {rows, columns}), view(in.past, {rows, lags, columns}),
             view(in.season, {rows, seasons, season_width(model, columns)}),
             view(in.state, {rows, (int64_t)in.state_size})}),
        "step", 5);
}

/* The same by our own statistics; the state moves in place. */
outputs call_judge(model *model, int64_t rows, int64_t columns,
                   const struct model_step &in)
{
    struct causal_step step = {};
    size_t size;

    if (model->floor.size() != (size_t)columns) {
        Tensor floor = model->module.get_method("floor")({columns}).toTensor();

        expect_shape(floor, "floor", {columns, 1});
        floor = floor.contiguous();
        model->floor.assign(floor.data_ptr<float>(),
                            floor.data_ptr<float>() + columns);
    }
    step.batch = (size_t)rows;
    step.columns = (unsigned)columns;
    step.season_columns = season_width(model, columns);
    step.floor = model->floor.data();
    step.x = in.x;
    step.season = in.season;
    step.state = in.state;
    size = step.batch * step.columns * CAUSAL_WIDTH;
    model->statistics.resize(std::max(size, model->statistics.size()));
    causal_results(&step, model->statistics.data());
    causal_step(&step);
    return read_outputs(
        stepper(model)->get_method("judge")(
            {view(in.x, {rows, columns}),
             view(step.inputs, {CAUSAL_INPUTS, columns, rows}),
             view(step.facts, {CAUSAL_FACTS, columns, rows}),
             view(step.candidates, {CAUSAL_CANDIDATES, columns, rows}),
             view(step.scale, {columns, rows}),
             view(step.novelty, {columns, rows}),
             view(step.lowest, {columns, rows})}),
        "judge", 4);
}

/* One step on NaN from the first state: finds S and E for F columns. */
void probe(model *model, int64_t columns, unsigned *state, unsigned *evidence)
{
    static const char *const names[] = {"expected", "low", "high"};
    const model_shape &shape = model->shape;
    size_t wide = (size_t)PROBE * ((size_t)columns * (1 + shape.lag_count) +
                                   shape.season_count * 2);
    std::vector<float> nan(wide, std::nanf(""));
    c10::InferenceMode inference;
    struct model_step in = {};
    outputs out;
    Tensor s;

    s = call_initial(model, PROBE, columns);
    TORCH_CHECK(s.dim() == 2 && s.size(0) == PROBE && s.size(1) <= STATE_MAX &&
                    s.scalar_type() == torch::kFloat32,
                "initial() does not return s[B,S]");
    in.x = nan.data();
    in.past = in.x + PROBE * columns;
    in.season = in.past + PROBE * columns * (int64_t)shape.lag_count;
    in.state = s.data_ptr<float>();
    in.state_size = (unsigned)s.size(1);
    out = call_step(model, PROBE, columns, in);
    expect_shape(out.tensors[4], "the next state", {PROBE, s.size(1)});
    TORCH_CHECK(out.tensors[3].dim() == 2, "evidence is not [B,E]");
    *evidence = (unsigned)out.tensors[3].size(1);
    *state = (unsigned)s.size(1);
    if (model->native) {
        TORCH_CHECK(*state == causal_state((unsigned)columns,
                                           season_width(model, columns)),
                    "the state is not that of statistics \"", CAUSAL_NAME,
                    "\"");
        out = call_judge(model, PROBE, columns, in);
    }
    for (unsigned i = 0; i < 3; i++) {
        expect_shape(out.tensors[i], names[i], {PROBE, columns});
    }
    expect_shape(out.tensors[3], "evidence", {PROBE, *evidence});
}

/* Statistics that causal.h has are computed there, others by step(). */
void check_statistics(model *model)
{
    if (!model->module.hasattr("statistics") ||
        model->module.attr("statistics") != IValue(CAUSAL_NAME)) {
        return;
    }
    TORCH_CHECK(model->module.find_method("floor") &&
                    model->module.find_method("judge") &&
                    model->shape.season_count == CAUSAL_SEASONS,
                "statistics \"", CAUSAL_NAME, "\" need methods floor() and ",
                "judge(), and ", (int)CAUSAL_SEASONS, " seasons");
    model->native = true;
}

void check_contract(model *model)
{
    unsigned state, evidence;

    for (const char *name : {"initial", "step", "loss"}) {
        TORCH_CHECK(model->module.find_method(name),
                    "the module has no method ", name, "()");
    }
    read_attributes(model);
    check_statistics(model);
    probe(model, model->shape.feature_count, &state, &evidence);
    TORCH_CHECK(state == model->shape.state, "attribute \"state\" is ",
                model->shape.state, ", initial() returns ", state);
    TORCH_CHECK(evidence == model->shape.evidence_count,
                "attribute \"evidence\" has ", model->shape.evidence_count,
                " names, step() returns ", evidence);
}

int read_module(model *model, const char *bytes, size_t len, err *err)
{
    std::istringstream stream(std::string(bytes, len));

    try {
        model->module = torch::jit::load(stream, torch::kCPU);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &) {
        return err_set(err, ERR_MODEL,
                       "no TorchScript file of a libtorch "
                       "up to " TORCH_VERSION);
    }
    check_contract(model);
    return 0;
}

std::string write_module(const model *model)
{
    std::ostringstream stream;

    model->module.save(stream);
    return stream.str();
}

Tensor run_loss(model *model, const model_windows *windows, uint64_t seed)
{
    const model_shape &shape = model->shape;
    int64_t B = (int64_t)windows->batch, T = (int64_t)windows->ticks;
    int64_t F = windows->columns;
    std::lock_guard<std::mutex> hold(seeding);

    torch::manual_seed(seed);
    IValue result = model->module.get_method("loss")(
        {view(windows->x, {B, T, F}),
         view(windows->past, {B, T, shape.lag_count, F}),
         view(windows->season,
              {B, T, shape.season_count, season_width(model, F)})});
    TORCH_CHECK(result.isTensor() && result.toTensor().numel() == 1,
                "loss() does not return a scalar");
    return result.toTensor();
}

} // namespace

/* ------------------------------------------------------------ model.h */

extern "C" struct model *model_load(const char *path, struct err *err)
{
    std::unique_ptr<model> made;
    struct buf bytes;
    int rc;

    /* Operations allocate their results: do not map and zero each anew. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 128 << 20);

    buf_init(&bytes, MODEL_FILE_MAX);
    rc = model_file_read(path, &bytes, err);
    if (rc == 0) {
        rc = guard(err, "load", [&] {
            made = std::make_unique<model>();
            return read_module(made.get(), bytes.data != NULL ? bytes.data : "",
                               bytes.len, err);
        });
        if (rc != 0) {
            err_prefix(err, "%s", path);
        }
    }
    buf_release(&bytes);
    return rc == 0 ? made.release() : NULL;
}

extern "C" struct model *model_copy(const struct model *from, struct err *err)
{
    std::unique_ptr<model> made;
    int rc;

    rc = guard(err, "copy", [&] {
        std::string bytes = write_module(from);

        made = std::make_unique<model>();
        return read_module(made.get(), bytes.data(), bytes.size(), err);
    });
    return rc == 0 ? made.release() : NULL;
}

extern "C" void model_free(struct model *model)
{
    delete model;
}

extern "C" const struct model_shape *model_describe(const struct model *model)
{
    return &model->shape;
}

extern "C" int model_sizes(struct model *model, unsigned columns,
                           unsigned *state, unsigned *evidence, struct err *err)
{
    return guard(err, "step", [&] {
        probe(model, columns, state, evidence);
        return 0;
    });
}

extern "C" int model_initial(struct model *model, unsigned columns,
                             size_t batch, float *state, struct err *err)
{
    return guard(err, "initial", [&] {
        c10::InferenceMode inference;
        Tensor s = call_initial(model, (int64_t)batch, columns);

        memcpy(state, s.data_ptr<float>(), s.nbytes());
        return 0;
    });
}

extern "C" int model_step(struct model *model, const struct model_step *step,
                          struct err *err)
{
    return guard(err, "step", [&] {
        c10::InferenceMode inference;
        const model_shape &shape = model->shape;
        size_t F = step->columns, at, rows, S = step->state_size;
        size_t Q = season_width(model, (int64_t)F);
        outputs out;

        for (at = 0; at < step->batch; at += rows) {
            struct model_step in = *step;
            float *const to[] = {step->expected, step->low, step->high,
                                 step->evidence, step->state};

            rows = std::min(CHUNK, step->batch - at);
            in.x += at * F;
            in.past += at * shape.lag_count * F;
            in.season += at * shape.season_count * Q;
            in.state += at * S;
            out = model->native
                      ? call_judge(model, (int64_t)rows, (int64_t)F, in)
                      : call_step(model, (int64_t)rows, (int64_t)F, in);
            for (unsigned i = 0; i < (model->native ? 4 : 5); i++) {
                memcpy(to[i] + at * (size_t)out.tensors[i].size(1),
                       out.tensors[i].data_ptr<float>(),
                       out.tensors[i].nbytes());
            }
        }
        return 0;
    });
}

extern "C" int model_loss(struct model *model,
                          const struct model_windows *windows, uint64_t seed,
                          double *loss, struct err *err)
{
    return guard(err, "loss", [&] {
        torch::NoGradGuard no_grad;
        *loss = run_loss(model, windows, seed).item<double>();
        return 0;
    });
}

extern "C" int model_train(struct model *model,
                           const struct model_windows *windows,
                           double learning_rate, uint64_t seed, double *loss,
                           struct err *err)
{
    return guard(err, "train", [&] {
        Tensor value;

        if (model->optimizer == nullptr) {
            std::vector<Tensor> parameters;

            for (const Tensor &p : model->module.parameters()) {
                parameters.push_back(p);
            }
            model->optimizer = std::make_unique<torch::optim::AdamW>(
                parameters, torch::optim::AdamWOptions(learning_rate));
        }
        for (auto &group : model->optimizer->param_groups()) {
            group.options().set_lr(learning_rate);
        }
        model->optimizer->zero_grad();
        value = run_loss(model, windows, seed);
        *loss = value.item<double>();
        TORCH_CHECK(std::isfinite(*loss), "the loss is ", *loss);
        value.backward();
        torch::nn::utils::clip_grad_norm_(
            model->optimizer->param_groups()[0].params(), 1.0);
        model->optimizer->step();
        model->frozen.reset();
        return 0;
    });
}

extern "C" int model_save(struct model *model, const char *path,
                          const char *version, struct err *err)
{
    return guard(err, "save", [&] {
        std::string bytes;

        if (strlen(version) >= sizeof(model->shape.version)) {
            return err_set(err, ERR_USAGE, "version \"%s\" is too long",
                           version);
        }
        model->module.setattr("version", std::string(version));
        snprintf(model->shape.version, sizeof(model->shape.version), "%s",
                 version);
        bytes = write_module(model);
        return file_replace(path, bytes.data(), bytes.size(), false, err);
    });
}

extern "C" void model_threads(int threads)
{
    blas_threads(threads);
    guard(NULL, "threads", [&] {
        at::set_num_threads(threads);
        return 0;
    });
}
