"""What is known of libraries without importing them: which calls change, keep, draw, read or write.

Tables only. A method that stands in no table is judged by how it is used (see ``calls.py``).
"""

from __future__ import annotations

import builtins
import sys

BUILTINS = frozenset(dir(builtins)) | {
    "__file__", "__name__", "__doc__", "__builtins__", "__spec__", "__loader__", "__package__",
    "get_ipython", "display", "exit", "quit", "In", "Out",
}  # fmt: skip


def words(text: str) -> frozenset[str]:
    """Set of the words of a text: long tables read better so."""
    return frozenset(text.split())


# Methods that change the object they are called on, whether or not their value is used.
MUTATORS = words("""
append appendleft extend extendleft insert pop popleft popitem remove clear update setdefault add discard
sort reverse rotate intersection_update difference_update symmetric_difference_update subtract move_to_end
__setitem__ __delitem__ __setattr__ __delattr__ __iadd__ __next__ send throw write writelines writerow
writerows writeheader read readline readlines seek truncate flush close execute executemany executescript
commit rollback fetchone fetchmany fetchall fit fit_transform fit_predict partial_fit set_params train eval
step backward zero_grad compile load_state_dict load_weights requires_grad_ register_forward_hook
add_module put put_nowait get_nowait task_done acquire release start join cancel submit shutdown notify wait
fill resize itemset partition setflags byteswap setfield put_along_axis plot scatter bar barh hist hist2d
boxplot violinplot errorbar imshow contour contourf pcolormesh pie stem step fill_between axhline axvline
axhspan axvspan annotate text legend grid tick_params set_title set_xlabel set_ylabel set_xlim set_ylim
set_xticks set_yticks invert_xaxis invert_yaxis twinx twiny suptitle tight_layout colorbar subplots_adjust
add_subplot add_axes add_patch add_artist add_collection add_line add_node add_nodes_from add_edge
add_edges_from remove_node remove_edge remove_nodes_from relabel update_layout update_traces update_xaxes
update_yaxes add_trace add_shape add_annotation setLevel addHandler removeHandler addFilter basicConfig seed
setstate shuffle increment inc dec observe connect disconnect register unregister subscribe emit attach
detach push load merge_from populate reset advance tick next set callback enter_context
putpixel paste putdata putalpha putpalette
""") - words("join eval text text load merge_from")  # as often pure: str.join, df.eval, requests' .text
# Of those, methods that keep what they are given.
HOLDING = words("""
append appendleft extend extendleft insert add update setdefault put put_nowait push register connect
observe subscribe attach register_forward_hook add_module __setitem__ __setattr__ move_to_end set_params
callback enter_context addHandler
""")
MUTATOR_PREFIXES = (
    "set_",
    "add_",
    "remove_",
    "append_",
    "insert_",
    "update_",
    "register_",
    "delete_",
    "clear_",
)

# Of those, methods that frames, series and strings share by name and where they change nothing.
FRAME_PLOTS = words("plot hist boxplot bar barh line area scatter pie kde density hexbin box")
PANDAS_MUTATORS = words("insert update pop __setitem__ __delitem__")
PANDAS_RETURNS = words("""
read_csv read_excel read_json read_parquet read_table read_sql read_sql_query read_html read_pickle
read_feather read_hdf read_clipboard read_fwf read_stata read_sas DataFrame Series concat merge crosstab
pivot_table get_dummies json_normalize melt cut qcut to_datetime to_numeric date_range Index MultiIndex
period_range timedelta_range Categorical
""")
# Methods that frames have and nothing else that changes when one of its methods is called.
FRAME_METHODS = words("""
groupby value_counts reset_index set_index sort_values sort_index dropna fillna drop_duplicates pivot_table
isna isnull notna notnull nunique applymap to_frame resample
""")
# Of those, and of frames' others, what computes only when it is asked, from what the frame is then.
LIVE_FRAMES = words("groupby rolling resample expanding ewm")
DATASET_LOADERS = words("load_pandas get_rdataset")
# Methods whose value has nothing to do with the object any more, and which change nothing.
FRESH = words("""
copy deepcopy astype sum mean median std var min max argmin argmax argsort any all prod cumsum cumprod
cumcount count nunique unique value_counts quantile corr cov describe info head tail sample round abs dot
clip diff shift rank nlargest nsmallest isna isnull notna notnull fillna dropna drop drop_duplicates
duplicated rename reset_index set_index sort_values sort_index groupby agg aggregate apply applymap
transform pivot pivot_table melt stack unstack merge join query eval assign pipe rolling expanding resample
ewm where mask replace between isin to_numpy to_list tolist to_dict to_frame to_string to_markdown to_html
to_json to_latex predict predict_proba predict_log_proba decision_function score score_samples get_params
summary split strip lstrip rstrip lower upper title startswith endswith format encode decode zfill ljust
rjust splitlines partition rpartition find rfind index isdigit isalpha isalnum capitalize swapcase center
casefold keys union intersection difference symmetric_difference issubset issuperset isdisjoint bit_length
item conj nonzero searchsorted trace repeat tobytes json strftime isoformat timestamp total_seconds date
time weekday today now items iterrows itertuples show hexdigest digest exists is_file is_dir stat group
groups
""")
VIEWS = words("""
loc iloc at iat T flat real imag values array view reshape ravel squeeze transpose swapaxes diagonal
expand_dims memoryview
""")
# Module functions whose result shares memory with their first argument.
VIEW_FUNCTIONS = words("""
asarray asanyarray ravel reshape transpose squeeze atleast_1d atleast_2d atleast_3d broadcast_to swapaxes
moveaxis expand_dims from_numpy as_tensor frombuffer lib.stride_tricks.as_strided flip rollaxis
ascontiguousarray nan_to_num diagonal nditer split array_split hsplit vsplit
""")
# Callables that keep their arguments for later.
KEEPERS = words("""
map filter zip enumerate iter reversed partial partialmethod chain from_iterable cycle islice starmap tee
takewhile dropwhile accumulate groupby product ensure_future create_task gather run_coroutine_threadsafe
interact interactive interactive_output reader writer DictReader DictWriter memoryview weakref ref proxy
namedtuple deque cached lazy delayed vectorize frompyfunc curry memoize wraps make_pipeline make_union
make_column_transformer methodcaller attrgetter itemgetter
""")
LAZY = words("""
map filter zip enumerate iter reversed chain islice starmap takewhile dropwhile accumulate filterfalse
pairwise zip_longest from_iterable batched
""")
# Module functions that change an argument: name -> positions.
ARGUMENT_MUTATORS: dict[str, tuple[int, ...]] = {
    "fill_diagonal": (0,), "shuffle": (0,), "heappush": (0,), "heappop": (0,), "heapify": (0,),
    "heapreplace": (0,), "heappushpop": (0,), "insort": (0,), "insort_left": (0,), "insort_right": (0,),
    "put": (0,), "place": (0,), "copyto": (0,), "putmask": (0,), "put_along_axis": (0,), "setitem": (0,),
    "delitem": (0,), "iadd": (0,), "isub": (0,), "imul": (0,), "iconcat": (0,), "setattr": (0,),
    "delattr": (0,),
    "to_sql": (1,), "next": (0,), "anext": (0,), "dump": (1,), "readinto": (0,), "relabel_nodes": (),
    "set_node_attributes": (0,), "set_edge_attributes": (0,), "clip_grad_norm_": (0,), "draw": (),
    "copyfileobj": (0, 1), "pack_into": (1,), "SubElement": (0,), "recv_into": (0,), "at": (0,),
    "vector_to_parameters": (1,), "setLevel": (), "seek": (0,),
}  # fmt: skip
# Functions of numpy that write into the argument behind their operands: name -> how many those are.
OPERANDS = dict.fromkeys(
    words("""
abs absolute negative exp exp2 expm1 log log2 log10 log1p sqrt square cbrt sin cos tan tanh floor ceil rint
trunc sign reciprocal conjugate isnan isfinite isinf invert logical_not
"""),
    1,
) | dict.fromkeys(
    words("""
add subtract multiply divide true_divide floor_divide power mod remainder maximum minimum fmax fmin dot
matmul logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor greater less equal hypot arctan2
"""),
    2,
)
# Methods that change what their object holds, too: a pipeline's steps, a model that an optimizer got.
HELD_CHANGES = words("fit fit_transform fit_predict partial_fit step zero_grad backward")
# Modules whose state all of their functions share: a name imported from one stands for the whole.
STATEFUL_MODULES = words("decimal logging locale")
# Of those, functions that return the state itself.
STATE_GETTERS = words("decimal.getcontext logging.getLogger")
# Functions that give an element of their arguments away, and those that make a list of some.
ELEMENT_FUNCTIONS = words("""
random.choice heapq.heappop heapq.heapreplace heapq.heappushpop operator.getitem statistics.mode
functools.reduce
""")
SELECTING_FUNCTIONS = words("random.sample random.choices heapq.nlargest heapq.nsmallest heapq.merge")
# Functions of OpenCV that draw into their first argument.
CV2_DRAWS = words("""
rectangle circle line putText polylines fillPoly fillConvexPoly ellipse drawContours arrowedLine drawMarker
drawKeypoints floodFill
""")
LOGGING_CALLS = words("debug info warning warn error exception critical log")
# Methods of containers, by which a variable inside a module is changed: ``warnings.filters.insert(…)``.
CONTAINER_CHANGES = words("insert extend update pop popitem remove clear discard setdefault")
# Keyword arguments that name an object to write into.
WRITTEN_KEYWORDS = words("out ax axes buf file fig cax con")

IMMUTABLE_RESULTS = words("""
len sum int float str bool abs round hash id ord chr repr ascii bin hex oct format complex bytes isinstance
issubclass callable hasattr divmod pow input
""")
CONTAINERS = words("list tuple set frozenset sorted dict")
PASSIVE = words("""
print len repr str format ascii hash id isinstance issubclass callable hasattr type dir help display pprint
int float bool bytes complex abs round ord chr
""")

WELL_KNOWN = frozenset(sys.stdlib_module_names) | words("""
numpy pandas matplotlib seaborn sklearn scipy statsmodels plotly altair bokeh IPython ipywidgets tqdm
requests networkx sympy polars pyarrow torch torchvision tensorflow keras xgboost lightgbm catboost nltk
spacy gensim bs4 lxml yaml PIL cv2 skimage joblib dask numba pytest hvplot holoviews geopandas shapely
folium wordcloud vega_datasets jupyter_flows missingno tabulate rich psutil sqlalchemy duckdb toolz attrs
attr pydantic shap ydata_profiling patsy pmdarima prophet umap imblearn httpx urllib3 dateutil pytz six
setuptools pip openpyxl
""")

SETTERS = ("set_", "reset_", "enable", "disable", "use", "register", "configure", "config", "basicConfig",
           "seterr", "setlocale", "setdefaulttimeout", "init_notebook", "go_offline", "install", "extension",
           "setrecursionlimit", "set", "setcontext", "output_notebook", "setup", "patch", "monkey",
           "option_context_set", "load_ext", "getcontext_set", "setLevel", "addHandler", "removeHandler",
           "addFilter", "removeFilter")  # fmt: skip

# --- hidden channels ---

PYPLOT_STARTS = words("figure subplots subplot2grid subplot_mosaic subplot")
PYPLOT_DRAWS = words("""
plot scatter bar barh hist hist2d boxplot violinplot errorbar imshow contour contourf pcolormesh pie stem
step fill_between matshow hexbin polar specgram spy stackplot semilogx semilogy loglog quiver streamplot
triplot
""")
PYPLOT_FINISHES = words("""
title xlabel ylabel legend xlim ylim xticks yticks grid colorbar savefig gcf gca tight_layout suptitle
axhline axvline annotate text clim sca draw margins axis subplots_adjust twinx twiny axhspan axvspan
get_fignums
""")
PYPLOT_LOOKS = words("savefig get_fignums")
# Of those that take a figure or axes, what makes them the present ones, also below the cell.
PYPLOT_CHOOSES = words("sca figure axes")
PYPLOT_ENDS = words("show close clf cla")
SEABORN_DRAWS = words("""
histplot kdeplot ecdfplot rugplot scatterplot lineplot boxplot violinplot stripplot swarmplot barplot
countplot pointplot heatmap regplot residplot distplot boxenplot
""")

SKLEARN_RANDOM = words("""
train_test_split KFold StratifiedKFold ShuffleSplit StratifiedShuffleSplit RandomForestClassifier
RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier
GradientBoostingRegressor KMeans MiniBatchKMeans DecisionTreeClassifier DecisionTreeRegressor MLPClassifier
MLPRegressor TSNE SGDClassifier SGDRegressor BaggingClassifier BaggingRegressor IsolationForest
make_classification make_regression make_blobs make_moons make_circles resample shuffle
permutation_importance RandomizedSearchCV GaussianMixture AdaBoostClassifier NMF RandomizedPCA
""")
FILE_READERS = words("""
read_csv read_excel read_json read_parquet read_table read_html read_pickle read_feather read_hdf read_fwf
read_stata read_xml load loadtxt genfromtxt fromfile imread read_file read_ipc scan_csv scan_parquet
read_text read_bytes listdir scandir walk glob iglob rglob iterdir exists isfile isdir getsize stat
""")
FILE_WRITERS = words("""
to_csv to_excel to_json to_parquet to_pickle to_feather to_hdf to_html to_markdown to_latex to_stata savetxt
save savez savez_compressed savefig imsave tofile write_text write_bytes write_csv write_parquet write_html
write_image makedirs mkdir touch remove unlink rmdir rmtree to_file to_netcdf
""")
FILE_MOVERS = words("copy copyfile copy2 move rename replace copytree")
NUMPY_SUFFIXES = {"save": ".npy", "savez": ".npz", "savez_compressed": ".npz"}
# Functions and classes that open a file like `open`, and the mode without one.
FILE_OPENERS = {
    "zipfile.ZipFile": "r", "tarfile.open": "r", "tarfile.TarFile": "r", "gzip.open": "r",
    "gzip.GzipFile": "r", "bz2.open": "r", "bz2.BZ2File": "r", "lzma.open": "r", "lzma.LZMAFile": "r",
    "os.open": "a", "io.open": "r", "codecs.open": "r", "wave.open": "r", "h5py.File": "r",
    "pandas.ExcelWriter": "w", "pandas.HDFStore": "a", "shelve.open": "a", "dbm.open": "r",
    "numpy.memmap": "r+", "logging.FileHandler": "a", "matplotlib.backends.backend_pdf.PdfPages": "w",
    "netCDF4.Dataset": "r", "zarr.open": "a", "rasterio.open": "r", "fiona.open": "r",
}  # fmt: skip
# Databases in a file: several connections see what one of them wrote.
FILE_STORES = words("sqlite3.connect sqlalchemy.create_engine duckdb.connect")
FILE_MODULES = words("""
numpy pandas joblib pickle json os shutil pathlib torch polars geopandas glob matplotlib scipy skimage
cv2 PIL imageio yaml tomllib csv
""")
DB_CALLS = words("execute executemany executescript commit rollback to_sql sql query")
