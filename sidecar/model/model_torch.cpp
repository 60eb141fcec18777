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
#include "model.h"
#include "model_file.h"
}

#include <dlfcn.h>

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

constexpr unsigned LAG_MAX = 512;
constexpr uint64_t SEASON_MAX = 7 * 86400;

std::mutex seeding; /* torch has one generator for the whole process */

} // namespace

struct model {
    torch::jit::Module module;
    std::unique_ptr<torch::jit::Module> frozen;
    std::unique_ptr<torch::optim::AdamW> optimizer;
    std::vector<std::string> names; /* what the shape's pointers point at */
    model_shape shape;
};

namespace
{

/* One line of what libtorch says: the last that is not a call stack's. An
 * exception of the module's own ends in "RuntimeError: <its words>". */
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

int64_t season_width(const model *model, int64_t columns)
{
    int64_t most = model->shape.season_feature_count;

    return columns < most ? columns : most;
}

/* ------------------------------------------------------- the attributes */

bool attribute(const model *model, const char *name, IValue *value, err *err)
{
    if (!model->module.hasattr(name)) {
        err_set(err, ERR_MODEL, "the module has no attribute \"%s\"", name);
        return false;
    }
    *value = model->module.attr(name);
    return true;
}

int read_names(model *model, const char *name, unsigned most, const char **into,
               unsigned *count, err *err)
{
    IValue value;

    if (!attribute(model, name, &value, err)) {
        return -1;
    }
    if (!value.isList()) {
        return err_set(err, ERR_MODEL, "attribute \"%s\" is no list", name);
    }
    *count = 0;
    for (const IValue &item : value.toListRef()) {
        if (!item.isString()) {
            return err_set(err, ERR_MODEL,
                           "attribute \"%s\" is no list of strings", name);
        }
        if (*count == most) {
            return err_set(err, ERR_MODEL,
                           "attribute \"%s\" has more than %u names", name,
                           most);
        }
        model->names.push_back(item.toStringRef());
        into[(*count)++] = model->names.back().c_str();
    }
    return 0;
}

template <typename Number>
int read_numbers(const model *model, const char *name, uint64_t most,
                 Number *into, unsigned *count, err *err)
{
    IValue value;

    if (!attribute(model, name, &value, err)) {
        return -1;
    }
    if (!value.isIntList()) {
        return err_set(err, ERR_MODEL, "attribute \"%s\" is no list of int",
                       name);
    }
    *count = 0;
    for (int64_t number : value.toIntVector()) {
        if (*count == MODEL_NAMES_MAX) {
            return err_set(err, ERR_MODEL,
                           "attribute \"%s\" has more than %u numbers", name,
                           MODEL_NAMES_MAX);
        }
        if (number < 1 || (uint64_t)number > most) {
            return err_set(err, ERR_MODEL,
                           "attribute \"%s\": %lld is not in 1..%llu", name,
                           (long long)number, (unsigned long long)most);
        }
        into[(*count)++] = (Number)number;
    }
    return 0;
}

int read_version(model *model, err *err)
{
    IValue value;

    if (!attribute(model, "version", &value, err)) {
        return -1;
    }
    if (!value.isString() ||
        value.toStringRef().size() >= sizeof(model->shape.version)) {
        return err_set(err, ERR_MODEL,
                       "attribute \"version\" is no string of at most %zu "
                       "bytes",
                       sizeof(model->shape.version) - 1);
    }
    strcpy(model->shape.version, value.toStringRef().c_str());
    return 0;
}

int read_attributes(model *model, err *err)
{
    model_shape *shape = &model->shape;
    IValue value;
    unsigned i;

    model->names.reserve(2 * MODEL_NAMES_MAX + 2);
    if (read_version(model, err) != 0 ||
        read_names(model, "features", MODEL_NAMES_MAX, shape->features,
                   &shape->feature_count, err) != 0 ||
        read_names(model, "season_features", 2, shape->season_features,
                   &shape->season_feature_count, err) != 0 ||
        read_names(model, "evidence", MODEL_NAMES_MAX, shape->evidence,
                   &shape->evidence_count, err) != 0 ||
        read_numbers(model, "lags", LAG_MAX, shape->lags, &shape->lag_count,
                     err) != 0 ||
        read_numbers(model, "seasons", SEASON_MAX, shape->seasons,
                     &shape->season_count, err) != 0 ||
        !attribute(model, "state", &value, err)) {
        return -1;
    }
    if (!value.isInt() || value.toInt() < 1 || value.toInt() > 1 << 20) {
        return err_set(err, ERR_MODEL, "attribute \"state\" is no int in 1..%d",
                       1 << 20);
    }
    shape->state = (unsigned)value.toInt();
    if (shape->feature_count == 0 || shape->evidence_count == 0) {
        return err_set(err, ERR_MODEL,
                       "attribute \"features\" or \"evidence\" is empty");
    }
    for (i = 0; i < shape->evidence_count; i++) {
        if (strncmp(shape->evidence[i], "e:", 2) == 0) {
            break;
        }
    }
    shape->evidence_rows = i;
    return 0;
}

/* ------------------------------------------------------------- the step */

int expect_shape(const Tensor &tensor, const char *what,
                 std::vector<int64_t> sizes, err *err)
{
    std::ostringstream is, should;

    if (tensor.sizes() == c10::IntArrayRef(sizes) &&
        tensor.scalar_type() == torch::kFloat32) {
        return 0;
    }
    is << tensor.scalar_type() << tensor.sizes();
    should << c10::IntArrayRef(sizes);
    return err_set(err, ERR_MODEL, "%s is %s, not Float%s", what,
                   is.str().c_str(), should.str().c_str());
}

torch::jit::Module *stepper(model *model)
{
    if (model->frozen == nullptr) {
        torch::jit::Module copy = model->module.deepcopy();

        copy.eval();
        model->frozen = std::make_unique<torch::jit::Module>(
            torch::jit::freeze_module(copy, {"step"}));
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

int call_step(model *model, int64_t rows, int64_t columns,
              const struct model_step &in, outputs *out, err *err)
{
    const model_shape &shape = model->shape;
    int64_t lags = shape.lag_count, seasons = shape.season_count;
    unsigned i;
    IValue result;

    result = stepper(model)->get_method("step")(
        {view(in.x, {rows, columns}), view(in.past, {rows, lags, columns}),
         view(in.season, {rows, seasons, season_width(model, columns)}),
         view(in.state, {rows, (int64_t)in.state_size})});
    if (!result.isTuple() || result.toTupleRef().elements().size() != 5) {
        return err_set(err, ERR_MODEL, "step() does not return 5 tensors");
    }
    for (i = 0; i < 5; i++) {
        const IValue &item = result.toTupleRef().elements()[i];

        if (!item.isTensor()) {
            return err_set(err, ERR_MODEL, "step() does not return 5 tensors");
        }
        out->tensors[i] = item.toTensor().contiguous();
    }
    return 0;
}

/* One step on NaN from the first state: finds S and E for F columns. */
int probe(model *model, int64_t columns, unsigned *state, unsigned *evidence,
          err *err)
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
    unsigned i;

    s = call_initial(model, PROBE, columns);
    if (s.dim() != 2 || s.size(0) != PROBE ||
        s.scalar_type() != torch::kFloat32 || s.size(1) > 1 << 20) {
        return err_set(err, ERR_MODEL, "initial() does not return s[B,S]");
    }
    in.x = nan.data();
    in.past = in.x + PROBE * columns;
    in.season = in.past + PROBE * columns * (int64_t)shape.lag_count;
    in.state = s.data_ptr<float>();
    in.state_size = (unsigned)s.size(1);
    if (call_step(model, PROBE, columns, in, &out, err) != 0) {
        return -1;
    }
    for (i = 0; i < 3; i++) {
        if (expect_shape(out.tensors[i], names[i], {PROBE, columns}, err)) {
            return -1;
        }
    }
    if (expect_shape(out.tensors[4], "the next state", {PROBE, s.size(1)},
                     err) != 0) {
        return -1;
    }
    if (out.tensors[3].dim() != 2) {
        return err_set(err, ERR_MODEL, "evidence is not [B,E]");
    }
    *evidence = (unsigned)out.tensors[3].size(1);
    *state = (unsigned)s.size(1);
    return expect_shape(out.tensors[3], "evidence",
                        {PROBE, out.tensors[3].size(1)}, err);
}

int check_contract(model *model, err *err)
{
    static const char *const methods[] = {"initial", "step", "loss"};
    unsigned state, evidence;

    for (const char *name : methods) {
        if (!model->module.find_method(name)) {
            return err_set(err, ERR_MODEL, "the module has no method %s()",
                           name);
        }
    }
    if (read_attributes(model, err) != 0 ||
        probe(model, model->shape.feature_count, &state, &evidence, err) != 0) {
        return -1;
    }
    if (state != model->shape.state) {
        return err_set(err, ERR_MODEL,
                       "attribute \"state\" is %u, initial() returns %u",
                       model->shape.state, state);
    }
    if (evidence != model->shape.evidence_count) {
        return err_set(err, ERR_MODEL,
                       "attribute \"evidence\" has %u names, step() returns "
                       "%u",
                       model->shape.evidence_count, evidence);
    }
    return 0;
}

int read_module(model *model, const char *bytes, size_t len, err *err)
{
    std::istringstream stream(std::string(bytes, len));

    try {
        model->module = torch::jit::load(stream, torch::kCPU);
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &) {
        return err_set(
            err, ERR_MODEL,
            "no TorchScript file of a libtorch up to " TORCH_VERSION);
    }
    return check_contract(model, err);
}

/* The parameters of a copy of libtorch's own would still be shared. */
std::string write_module(const model *model)
{
    std::ostringstream stream;

    model->module.save(stream);
    return stream.str();
}

int run_loss(model *model, const model_windows *windows, uint64_t seed,
             Tensor *loss, err *err)
{
    const model_shape &shape = model->shape;
    int64_t B = (int64_t)windows->batch, T = (int64_t)windows->ticks;
    int64_t F = windows->columns;
    std::lock_guard<std::mutex> hold(seeding);
    IValue result;

    torch::manual_seed(seed);
    result = model->module.get_method("loss")(
        {view(windows->x, {B, T, F}),
         view(windows->past, {B, T, shape.lag_count, F}),
         view(windows->season,
              {B, T, shape.season_count, season_width(model, F)})});
    if (!result.isTensor() || result.toTensor().numel() != 1) {
        return err_set(err, ERR_MODEL, "loss() does not return a scalar");
    }
    *loss = result.toTensor();
    return 0;
}

} // namespace

/* ------------------------------------------------------------ model.h */

extern "C" struct model *model_load(const char *path, struct err *err)
{
    std::unique_ptr<model> made;
    struct buf bytes;
    int rc;

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
    guard(NULL, "free", [&] {
        delete model;
        return 0;
    });
}

extern "C" const struct model_shape *model_describe(const struct model *model)
{
    return &model->shape;
}

extern "C" int model_sizes(struct model *model, unsigned columns,
                           unsigned *state, unsigned *evidence, struct err *err)
{
    return guard(err, "step",
                 [&] { return probe(model, columns, state, evidence, err); });
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
        size_t Q = (size_t)season_width(model, (int64_t)F);
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
            if (call_step(model, (int64_t)rows, (int64_t)F, in, &out, err)) {
                return -1;
            }
            for (unsigned i = 0; i < 5; i++) {
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
        Tensor value;

        if (run_loss(model, windows, seed, &value, err) != 0) {
            return -1;
        }
        *loss = value.item<double>();
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
        if (run_loss(model, windows, seed, &value, err) != 0) {
            return -1;
        }
        *loss = value.item<double>();
        if (!std::isfinite(*loss)) {
            return err_set(err, ERR_MODEL, "the loss is %g", *loss);
        }
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
        strcpy(model->shape.version, version);
        bytes = write_module(model);
        return file_replace(path, bytes.data(), bytes.size(), false, err);
    });
}

extern "C" void model_threads(int threads)
{
    /* OpenBLAS has threads of its own, of which torch knows nothing. */
    void *symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    void (*set)(int);

    if (symbol != NULL) {
        memcpy(&set, &symbol, sizeof(set));
        set(threads);
    }
    guard(NULL, "threads", [&] {
        at::set_num_threads(threads);
        return 0;
    });
}
